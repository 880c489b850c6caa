#include <stdio.h>

int main(void) {
    puts("crisp");
    return 0;
}

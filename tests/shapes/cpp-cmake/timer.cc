#include <iostream>

int main() {
    for (int i = 3; i > 0; i--) std::cout << i << ' ';
    std::cout << "done\n";
}

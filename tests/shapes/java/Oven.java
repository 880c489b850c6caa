public class Oven {
    public static void main(String[] args) {
        System.out.println("Hello from the JVM");
    }
}

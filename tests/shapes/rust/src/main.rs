fn main() {
    println!("proofed");
}

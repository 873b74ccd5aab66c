fn main() {
    let bytes = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let traffic = conntruth::generate::Traffic::decode(&bytes);
    println!("{traffic}");
}

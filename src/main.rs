//! The binary.
fn main() {
    for (n, y) in tarana_operator::api::crds().unwrap() {
        println!("---\n# {n}\n{y}");
    }
}

use super::*;

#[test]
fn dump() {
    let started = std::time::Instant::now();
    let found = signatures().unwrap();
    println!("{:?}, {} literals, {} bytes, {} signatures", started.elapsed(), found.owners.len(), found.automaton.memory_usage(), found.all.len());
    for signature in found.every() {
        let literals: Vec<String> = literals(signature.text).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        println!("{} ==> {:?}", format!("{:?}", signature.text).chars().take(90).collect::<String>(), literals);
    }
}

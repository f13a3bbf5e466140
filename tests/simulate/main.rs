//! wip
#[test]
fn smoke() {
    let scenario = backstop::world::Scenario::random(1, 1000);
    let out = backstop::world::simulate(&scenario, &mut ());
    println!("{:?} {:?}", out.tally, out.end);
}

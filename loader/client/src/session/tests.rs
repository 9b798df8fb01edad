use super::*;

#[test]
fn a_message_of_any_length_has_a_bound_and_says_that_it_was_cut() {
    assert_eq!(shortened("record 7".into()), "record 7");
    let cut = shortened("ü".repeat(3000));
    assert!(cut.len() <= 2010 && cut.starts_with("üü") && cut.ends_with("ü…"), "{} bytes", cut.len());
}

use super::*;

#[test]
fn a_stream_of_another_image_shape_than_was_described_is_not_opened() {
    let spec = StreamSpec { batch_size: 4, ..StreamSpec::default() };
    let shape = |width| ImageShape { height: 2, width, channels: 3 };
    let opened = v1::StreamOpened {
        samples_per_epoch: 10,
        batches_per_epoch: 3,
        image: Some(shape(2).into()),
        ..v1::StreamOpened::default()
    };
    let answer = v1::StreamBatchesResponse { kind: Some(ResponseKind::Opened(opened)) };
    assert!(opened_by(&spec, Some(shape(2)), &answer).is_ok());
    for described in [Some(shape(3)), None] {
        let error = opened_by(&spec, described, &answer).unwrap_err();
        assert!(error.contains("another image shape"), "{error}");
    }
}

#[test]
fn a_message_of_any_length_has_a_bound_and_says_that_it_was_cut() {
    assert_eq!(shortened("record 7".into()), "record 7");
    let cut = shortened("ü".repeat(3000));
    assert!(cut.len() <= 2010 && cut.starts_with("üü") && cut.ends_with("ü…"), "{} bytes", cut.len());
}

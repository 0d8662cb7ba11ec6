use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::*;

fn event(namespace: &str, id: Option<u64>, args: Value) -> Packet {
    let Value::Array(args) = args else { panic!("no array") };
    let payload = Payload { args, attachments: Vec::new() };
    Packet { namespace: namespace.to_owned(), body: Body::Event { id, payload } }
}

fn encoded(packet: &Packet) -> String {
    let mut text = Vec::new();
    packet.encode(&mut text);
    String::from_utf8(text).unwrap()
}

#[track_caller]
fn check(text: &str, packet: &Packet) {
    assert_eq!(decode(text), Ok((packet.clone(), 0)));
    assert_eq!(encoded(packet), text);
}

#[test]
fn packets_look_as_in_the_protocol_document() {
    let connect = |namespace: &str, data: Value| {
        let Value::Object(data) = data else { panic!("no object") };
        Packet { namespace: namespace.to_owned(), body: Body::Connect(data) }
    };
    check("0", &connect("/", json!({})));
    check(
        r#"0/admin,{"sid":"oSO0OpakMV_3jnilAAAA"}"#,
        &connect("/admin", json!({"sid": "oSO0OpakMV_3jnilAAAA"})),
    );
    let refused = Body::ConnectError(json!({"message": "Not authorized"}));
    check(r#"4{"message":"Not authorized"}"#, &Packet { namespace: "/".to_owned(), body: refused });
    check(r#"2["foo"]"#, &event("/", None, json!(["foo"])));
    check(r#"2/admin,["bar"]"#, &event("/admin", None, json!(["bar"])));
    check(r#"212["foo"]"#, &event("/", Some(12), json!(["foo"])));
    let payload = Payload { args: vec![json!("bar")], attachments: Vec::new() };
    let ack = Packet { namespace: "/admin".to_owned(), body: Body::Ack { id: 13, payload } };
    check(r#"3/admin,13["bar"]"#, &ack);
    check("1/admin,", &Packet { namespace: "/admin".to_owned(), body: Body::Disconnect });
}

#[test]
fn a_namespace_may_end_the_packet() {
    assert_eq!(decode("1/admin").unwrap().0.namespace, "/admin");
    assert_eq!(decode("0/admin").unwrap().0.namespace, "/admin");
}

#[test]
fn attachments_stand_beside_their_placeholders() {
    let text = r#"51-/admin,456["project:delete",{"_placeholder":true,"num":0}]"#;
    let (mut packet, attachments) = decode(text).unwrap();
    assert_eq!(attachments, 1);
    packet.attach(vec![Bytes::from_static(&[1, 2, 3])]).unwrap();
    assert_eq!(encoded(&packet), text);
    for placeholder in [
        json!([{"_placeholder": true, "num": 1}]),
        json!({"a": [{"_placeholder": true, "num": -1}]}),
        json!({"_placeholder": true, "num": "0"}),
        json!({"_placeholder": true}),
    ] {
        let mut packet = event("/", None, json!(["a", placeholder]));
        assert_eq!(packet.attach(vec![Bytes::new()]), Err(Malformed::Attachments), "{placeholder}");
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    for (text, error) in [
        ("", Malformed::Type),
        ("7", Malformed::Type),
        ("abc", Malformed::Type),
        ("é", Malformed::Type),
        ("2", Malformed::Payload),
        ("2{}", Malformed::Payload),
        ("2[]", Malformed::Payload),
        ("2[null]", Malformed::Payload),
        (r#"2["connect"]"#, Malformed::Payload),
        (r#"2["a"#, Malformed::Payload),
        ("299999999999999999999[\"a\"]", Malformed::Id),
        ("3[1]", Malformed::Id),
        ("31", Malformed::Payload),
        ("0[]", Malformed::Payload),
        (r#"1{"a":1}"#, Malformed::Payload),
        (r#"5["a"]"#, Malformed::Attachments),
        (r#"50-["a"]"#, Malformed::Attachments),
        (r#"5+1-["a"]"#, Malformed::Attachments),
        (r#"511-["a"]"#, Malformed::Attachments),
        ("4", Malformed::Payload),
    ] {
        assert_eq!(decode(text), Err(error), "{text}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn packets() -> impl Strategy<Value = Packet> {
    let args = || proptest::collection::vec(values(), 0..4);
    let body = prop_oneof![
        proptest::collection::btree_map("[a-z]{1,4}", values(), 0..3)
            .prop_map(|auth| Body::Connect(auth.into_iter().collect())),
        Just(Body::Disconnect),
        (any::<Option<u64>>(), "[a-z]{1,6}[0-9]", args()).prop_map(|(id, name, args)| {
            let args = std::iter::once(Value::from(name)).chain(args).collect();
            Body::Event { id, payload: Payload { args, attachments: Vec::new() } }
        }),
        (any::<u64>(), args())
            .prop_map(|(id, args)| Body::Ack { id, payload: Payload { args, attachments: Vec::new() } }),
    ];
    ("/[a-z]{0,8}", body).prop_map(|(namespace, body)| Packet { namespace, body })
}

proptest! {
    #[test]
    fn a_packet_survives_its_encoding(packet in packets()) {
        assert_eq!(decode(&encoded(&packet)), Ok((packet, 0)));
    }

    #[test]
    fn no_text_makes_the_decoder_panic(text in "[0-7]?[0-9]{0,3}-?(/\\PC{0,4},)?\\PC{0,24}") {
        drop(decode(&text));
    }
}

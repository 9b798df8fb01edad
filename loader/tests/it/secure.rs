//! TLS and the bearer token, between real processes: who is let in, who is not, and what is said of it.

use crate::authority::Authority;
use crate::commands::{refused, run, serving};
use mixfeed_client::{BlockingStream, Security, StreamConfig, StreamEnd, StreamError, StreamSpec};
use mixfeed_testing::{Serving, signal};
use std::time::Duration;

const TOKEN: &str = "a-token-for-tests-0123456789";

fn start(flags: &[&str]) -> Serving {
    serving(&[&["--data", "synthetic:32", "--listen", "127.0.0.1:0", "--workers", "1"], flags].concat())
}

/// Reads two batches.
fn read(address: &str, security: Security) -> Result<(), StreamError> {
    let spec = StreamSpec { batch_size: 16, ..StreamSpec::default() };
    let mut config = StreamConfig::new(vec![address.parse().unwrap()], spec);
    config.end = StreamEnd::Batch(2);
    config.loader_timeout = Duration::from_millis(1500);
    config.security = security;
    BlockingStream::open(config)?.try_for_each(|batch| batch.map(drop))
}

/// Why reading failed.
fn failure(address: &str, security: Security) -> String {
    read(address, security).unwrap_err().to_string()
}

/// Ends a loader and returns the rest of what it logged.
fn end(mut loader: Serving) -> String {
    let mut log = String::new();
    signal(&loader.child, "-TERM");
    std::io::Read::read_to_string(&mut loader.log, &mut log).unwrap();
    assert_eq!(loader.child.wait().unwrap().code(), Some(0));
    log
}

#[test]
fn tls_lets_in_who_trusts_the_authority_and_nobody_else() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    ours.sign("loader", &["localhost", "127.0.0.1"], false);
    ours.sign("elsewhere", &["elsewhere.example"], false);
    ours.sign("old", &["localhost", "127.0.0.1"], true);
    let trusting = |authority: &Authority| Security::default().with_tls(&authority.read("ca.pem"), None);
    let with = |name: &str| {
        start(&[
            "--tls-cert",
            &ours.file(&format!("{name}.pem")),
            "--tls-key",
            &ours.file(&format!("{name}.key")),
        ])
    };

    let loader = with("loader");
    read(&loader.address, trusting(&ours)).unwrap();
    // The name is what the user gave, also where it is looked up.
    let port = loader.address.rsplit_once(':').unwrap().1;
    read(&format!("localhost:{port}"), trusting(&ours)).unwrap();
    let wrong = failure(&loader.address, trusting(&theirs));
    assert!(wrong.contains("UnknownIssuer") || wrong.contains("BadSignature"), "{wrong}");
    failure(&loader.address, Security::default());
    let health =
        |more: &[&str]| run(&[&["healthcheck", "--address", &loader.address], more].concat()).status.code();
    assert_eq!(health(&["--tls-ca", &ours.file("ca.pem")]), Some(0));
    assert_eq!(health(&["--tls-ca", &theirs.file("ca.pem")]), Some(1));
    assert_eq!(health(&[]), Some(1));
    let log = end(loader);
    assert!(log.contains("TLS handshake failed"), "{log}");
    assert!(!log.contains("PRIVATE"), "{log}");

    let old = failure(&with("old").address, trusting(&ours));
    assert!(old.contains("xpired"), "{old}");
    let elsewhere = failure(&with("elsewhere").address, trusting(&ours));
    assert!(elsewhere.contains("not valid for name") || elsewhere.contains("NotValidForName"), "{elsewhere}");
}

/// Each mistake with TLS, and what is said of it.
#[test]
fn each_mistake_with_tls_is_told_with_its_remedy() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for name in ["loader", "trainer"] {
        ours.sign(name, &["127.0.0.1"], false);
    }
    ours.sign("elsewhere", &["elsewhere.example"], false);
    ours.sign("old", &["127.0.0.1"], true);
    theirs.sign("trainer", &["trainer"], false);
    let server = |authority: &Authority, certificate: &str, key: &str| {
        vec![
            "--tls-cert".to_owned(),
            authority.file(certificate),
            "--tls-key".to_owned(),
            authority.file(key),
        ]
    };
    let of = |name: &str| server(&ours, &format!("{name}.pem"), &format!("{name}.key"));
    let asking = || [of("loader"), vec!["--tls-client-ca".to_owned(), ours.file("ca.pem")]].concat();
    let ca = |authority: &Authority| Some((authority.file("ca.pem"), authority.read("ca.pem")));
    let mistakes = [
        (of("old"), ca(&ours), None, "its certificate has expired: sign a new one"),
        (of("elsewhere"), ca(&ours), None, "sign one that has this name or address as subjectAltName"),
        (of("loader"), ca(&theirs), None, "no CA in --tls-ca has signed its certificate"),
        (server(&ours, "ca.pem", "ca.key"), ca(&ours), None, "that certificate is a CA's own"),
        (of("loader"), None, None, "if it speaks TLS, give --tls-ca"),
        (Vec::new(), ca(&ours), None, "if it speaks no TLS, leave out --tls-ca"),
        (asking(), ca(&ours), None, "give --tls-cert and --tls-key, signed by a CA that it trusts"),
        (asking(), ca(&ours), Some((&theirs, "trainer")), "signed by a CA that it trusts"),
        // Its alert may be lost with the connection, which it closes.
        (asking(), ca(&ours), Some((&ours, "old")), "expired"),
    ];
    for (flags, ca, identity, remedy) in mistakes {
        let loader = start(&flags.iter().map(String::as_str).collect::<Vec<_>>());
        let mut security = Security::default();
        let mut asking = vec!["healthcheck".to_owned(), "--address".to_owned(), loader.address.clone()];
        if let Some((file, pem)) = ca {
            let own =
                identity.map(|(by, name)| (by.read(&format!("{name}.pem")), by.read(&format!("{name}.key"))));
            security = security.with_tls(&pem, own.as_ref().map(|(own, key)| (&own[..], &key[..])));
            asking.extend(["--tls-ca".to_owned(), file]);
        }
        if let Some((by, name)) = identity {
            asking.extend(server(by, &format!("{name}.pem"), &format!("{name}.key")));
        }
        let said = failure(&loader.address, security);
        assert!(said.contains(remedy), "{remedy}: {said}");
        let health = run(&asking.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&health.stderr);
        assert!(said.contains(remedy), "{remedy}: {said}");
    }
}

/// The commands that make certificates in `SECURITY.md`, run as they stand there.
#[test]
fn certificates_are_made_by_openssl_as_the_documents_say() {
    let version = std::process::Command::new("openssl").arg("version").output();
    let present = version.map(drop).map_err(|error| format!("no openssl: {error}"));
    if mixfeed_ops::testing::require("openssl", present).is_none() {
        return;
    }
    let text = include_str!("../../../.github/SECURITY.md");
    let commands: Vec<_> = text.lines().filter(|line| line.starts_with("    openssl ")).collect();
    assert_eq!(commands.len(), 6, "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    let script = commands.join("\n").replace("loader.example", "localhost");
    let made = std::process::Command::new("sh").args(["-ec", &script]).current_dir(folder.path()).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let loader = start(&[
        "--tls-cert",
        &file("loader.pem"),
        "--tls-key",
        &file("loader.key"),
        "--tls-client-ca",
        &file("ca.pem"),
    ]);
    let port = loader.address.rsplit_once(':').unwrap().1;
    let contents = |name: &str| std::fs::read(file(name)).unwrap();
    let (certificate, key) = (contents("trainer.pem"), contents("trainer.key"));
    let security = Security::default().with_tls(&contents("ca.pem"), Some((&certificate, &key)));
    read(&format!("localhost:{port}"), security).unwrap();
}

#[test]
fn a_loader_that_speaks_no_tls_is_not_taken_for_one_that_does() {
    let authority = Authority::new();
    let loader = start(&[]);
    failure(&loader.address, Security::default().with_tls(&authority.read("ca.pem"), None));
    let log = end(loader);
    assert!(log.contains("it speaks TLS, which this side does not"), "{log}");
}

#[test]
fn a_client_certificate_is_asked_for_and_judged() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    ours.sign("loader", &["127.0.0.1"], false);
    ours.sign("trainer", &["trainer"], false);
    ours.sign("old", &["trainer"], true);
    theirs.sign("trainer", &["trainer"], false);
    let loader = start(&[
        "--tls-cert",
        &ours.file("loader.pem"),
        "--tls-key",
        &ours.file("loader.key"),
        "--tls-client-ca",
        &ours.file("ca.pem"),
        "--require-auth",
    ]);
    let showing = |authority: &Authority, name: &str| {
        let (certificate, key) =
            (authority.read(&format!("{name}.pem")), authority.read(&format!("{name}.key")));
        Security::default().with_tls(&ours.read("ca.pem"), Some((&certificate, &key)))
    };
    read(&loader.address, showing(&ours, "trainer")).unwrap();
    failure(&loader.address, Security::default().with_tls(&ours.read("ca.pem"), None));
    failure(&loader.address, showing(&theirs, "trainer"));
    failure(&loader.address, showing(&ours, "old"));
    let identity = ["--tls-cert", &ours.file("trainer.pem"), "--tls-key", &ours.file("trainer.key")];
    let health = ["healthcheck", "--address", &loader.address, "--tls-ca", &ours.file("ca.pem")];
    assert_eq!(run(&[&health[..], &identity].concat()).status.code(), Some(0));
    assert_eq!(run(&health).status.code(), Some(1));
    read(&loader.address, showing(&ours, "trainer")).unwrap();
}

/// The arbiter is a process of one's own: it has no certificate of the fleet's, and needs no token.
#[test]
fn a_trusted_copy_is_asked_in_plain_text_beside_a_loader_with_tls_and_token() {
    let authority = Authority::new();
    authority.sign("loader", &["127.0.0.1"], false);
    let token = authority.token(TOKEN);
    let loader = start(&[
        "--tls-cert",
        &authority.file("loader.pem"),
        "--tls-key",
        &authority.file("loader.key"),
        "--auth-token-file",
        &token,
    ]);
    let copy = start(&[]);
    let spec = StreamSpec { batch_size: 16, ..StreamSpec::default() };
    let mut config = StreamConfig::new(vec![loader.address.parse().unwrap()], spec);
    config.end = StreamEnd::Batch(20);
    config.tuning.audit_every = 1;
    config.arbiter = Some(copy.address.parse().unwrap());
    config.security =
        Security::default().with_tls(&authority.read("ca.pem"), None).with_token(TOKEN).unwrap();
    let mut stream = BlockingStream::open(config).unwrap();
    stream.by_ref().for_each(|batch| drop(batch.unwrap()));
    let stats = stream.stats();
    assert!(stats.audited > 0 && stats.corrupt == 0, "{stats:?}");
}

#[test]
fn only_calls_with_the_token_are_answered_and_it_is_never_told() {
    let authority = Authority::new();
    let file = authority.token(TOKEN);
    let loader = start(&["--auth-token-file", &file, "--log", "trace", "--reflection"]);
    let with = |token: &str| Security::default().with_token(token).unwrap();
    read(&loader.address, with(TOKEN)).unwrap();
    let huge = "x".repeat(1 << 20);
    for wrong in [Security::default(), with("a-token-for-tests-0123456780"), with(&TOKEN[1..]), with(&huge)] {
        let message = failure(&loader.address, wrong);
        assert!(!message.contains("a-token") && message.len() < 500, "{message}");
    }
    // One that is no use is refused at once, and does not use up the time to wait for loaders.
    let missing = failure(&loader.address, Security::default());
    assert!(missing.contains("refuses the stream: a valid bearer token is needed"), "{missing}");
    assert!(
        missing.ends_with("(Unauthenticated): give --auth-token-file with the loader's token"),
        "{missing}"
    );
    let wrong = failure(&loader.address, with("another-wrong-token"));
    assert!(wrong.ends_with("the token in --auth-token-file is not the loader's"), "{wrong}");
    let health = |more: &[&str]| run(&[&["healthcheck", "--address", &loader.address], more].concat());
    assert_eq!(health(&["--auth-token-file", &file]).status.code(), Some(0));
    let refused = health(&[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("a valid bearer token is needed: give --auth-token-file"), "{said}");
    let log = end(loader);
    assert!(log.contains("stream opened") && !log.contains("a-token") && !log.contains("another-wrong"));
}

#[test]
fn health_has_a_listener_of_its_own_that_serves_nothing_else() {
    let authority = Authority::new();
    authority.sign("loader", &["127.0.0.1"], false);
    let token = authority.token(TOKEN);
    let address = mixfeed_testing::free_addresses(1).remove(0);
    let loader = start(&[
        "--tls-cert",
        &authority.file("loader.pem"),
        "--tls-key",
        &authority.file("loader.key"),
        "--auth-token-file",
        &token,
        "--health-listen",
        &address,
    ]);
    let healthy = run(&["healthcheck", "--address", &address]);
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    let both = Security::default().with_tls(&authority.read("ca.pem"), None).with_token(TOKEN).unwrap();
    read(&loader.address, both).unwrap();
    let elsewhere = failure(&address, Security::default());
    assert!(elsewhere.contains("nimplemented"), "{elsewhere}");
    end(loader);
    assert_eq!(run(&["healthcheck", "--address", &address]).status.code(), Some(1));
}

#[test]
fn an_open_door_is_warned_of_or_refused() {
    let authority = Authority::new();
    let token = authority.token(TOKEN);
    let open = ["serve", "--data", "synthetic:10", "--listen", "0.0.0.0:0"];
    let with = |more: &[&str]| refused(2, &[&open[..], more].concat());
    assert!(with(&["--require-auth"]).contains("neither TLS nor a token"));
    assert!(with(&["--require-auth", "--auth-token-file", &token]).contains("in clear"));

    let mut loader = serving(&["--data", "synthetic:10", "--listen", "0.0.0.0:0", "--log-format", "text"]);
    signal(&loader.child, "-TERM");
    loader.child.wait().unwrap();
    let output =
        crate::commands::loader(&["serve", "--data", "/no/such/folder", "--listen", "0.0.0.0:0"]).output();
    let log = String::from_utf8(output.unwrap().stderr).unwrap();
    let warnings: Vec<_> =
        log.lines().filter(|line| line.contains("this loader can be reached from other machines")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
}

#[test]
fn files_that_are_no_certificate_key_or_token_are_named_and_not_shown() {
    let authority = Authority::new();
    authority.sign("loader", &["127.0.0.1"], false);
    authority.sign("other", &["127.0.0.1"], false);
    let token = authority.token("short-secret");
    let start = |flags: &[&str]| {
        refused(2, &[&["serve", "--data", "synthetic:10", "--listen", "127.0.0.1:0"], flags].concat())
    };
    let tls = |certificate: &str, key: &str| {
        start(&["--tls-cert", &authority.file(certificate), "--tls-key", &authority.file(key)])
    };
    assert!(tls("loader.key", "loader.key").contains("loader.key: no certificate in PEM form"));
    assert!(tls("loader.pem", "loader.pem").contains("loader.pem: no private key in PEM form"));
    assert!(tls("loader.pem", "none.key").contains("cannot read"));
    assert!(tls("loader.pem", "other.key").contains("loader.pem: "));
    let line = start(&["--auth-token-file", &token]);
    assert!(line.contains("16 to 4096 bytes, this one has 12") && !line.contains("secret"), "{line}");
    assert!(start(&["--auth-token-file", "/dev/zero"]).contains("/dev/zero: more than"));
    assert!(start(&["--tls-cert", &authority.file("loader.pem")]).contains("go together"));
    // Nobody is asked with what cannot be shown, so that nobody else is blamed for it.
    let (ca, own, key) =
        (authority.file("ca.pem"), authority.file("loader.pem"), authority.file("other.key"));
    let flags = ["healthcheck", "--tls-ca", &ca, "--tls-cert", &own, "--tls-key", &key];
    assert!(refused(2, &flags).contains("loader.pem: its key is not the one in "));
    assert!(refused(2, &["healthcheck", "--tls-ca", &key]).contains("other.key: no certificate in PEM form"));
}

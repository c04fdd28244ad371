//! pika, the AMQP client of Python, against the broker: `tests/amqp.py`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use podlab_guest::runtime::{Flag, block_on};

#[test]
fn pika_does_what_it_does_with_rabbitmq() {
    let ports =
        [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let [http, amqp] = ports.map(|port| format!("127.0.0.1:{port}"));
    let words = [
        format!("--listen={http}"),
        format!("--amqp={amqp}"),
        "--redis=-".to_owned(),
        "--memory=1000000".to_owned(),
    ];
    std::thread::spawn(move || {
        let args = queue::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move { queue::run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", ports[1])).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/amqp.py");
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let python = Command::new(python).arg(script).arg(ports[1].to_string()).output().unwrap();
    let (said, error) =
        (String::from_utf8_lossy(&python.stdout), String::from_utf8_lossy(&python.stderr));
    assert!(python.status.success(), "{said}\n{error}");
    assert_eq!(said.lines().filter(|l| l.starts_with("ok ")).count(), 7, "{said}");
}

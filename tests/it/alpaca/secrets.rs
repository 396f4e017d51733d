//! Whatever is logged, the keys are not in it.

use std::io::Write;

use tracing_subscriber::fmt::MakeWriter;

use bot::broker::alpaca::{AlpacaClient, tls_config};

use super::*;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl log::Log for Captured {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(self.clone(), "{} {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

#[test]
fn no_key_is_ever_logged() {
    let captured = Captured::default();
    log::set_logger(Box::leak(Box::new(captured.clone()))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(captured.clone())
        .finish();
    let server = Server::start(|request| match request.method.as_str() {
        "POST" => Act::Answer(200, order(&id_of(request), "new", 0)),
        _ => Act::Answer(401, r#"{"message":"unauthorized."}"#.to_owned()),
    });
    let stream = OrderStream::listen();
    let config = with_stream(&server.url(), &stream);
    let client = AlpacaClient::new(&config, &tls_config().unwrap()).unwrap();
    let shown = format!("{config:?} {client:?}");
    let venue = venue(config);
    tracing::subscriber::with_default(subscriber, || {
        let stop = Stop::default();
        thread::scope(|scope| {
            // The tracker has to run on this thread, where the subscriber is.
            scope.spawn(|| {
                let mut session = stream.accept();
                session.say(&Session::event("new", &order("bot-1", "new", 0)));
                drop(session);
                let _session = stream.accept();
                stop.request();
            });
            venue.track(&Followed::default(), &stop);
        });
        let mut broker = venue.connect().unwrap();
        let order = request("bot-1");
        let said = format!("{:?} {:?}", broker.submit(&order), broker.query(&order.client_order_id));
        tracing::error!("{said} {:?} {shown}", broker.account());
    });
    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("broker answered") && log.contains("order stream is connected"), "{log}");
    assert!(log.contains("reqwest::"), "the libraries' records are captured, too: {log}");
    for key in ["KEY", "S3CRET", "5333435245", "S3cret"] {
        assert!(!log.replace("APCA-API-KEY", "").contains(key), "{key} is in the log: {log}");
    }
}

//! Nothing secret is logged, however much is.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::telemetry::log::ours;

/// All log lines of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// At the finest level there is.
#[tokio::test]
async fn nothing_that_is_secret_is_logged() {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    let lines = tracing_subscriber::registry().with(LevelFilter::TRACE).with(ours()).with(lines);
    let _listening = tracing::subscriber::set_default(lines);
    tracing::trace!("everything is logged");
    let server = Server::start(|asked| match asked.path.as_str() {
        "/role" => role("CANARY", HOUR),
        "/bad" => Some((200, "{\"AccessKeyId\":\"CANARY\",\"SecretAccessKey\":\"CANARY\"".to_owned())),
        "/latest/api/token" => Some((200, "CANARY-session".to_owned())),
        path if path.ends_with("/the-role") => role("CANARY", HOUR),
        path if path.ends_with("security-credentials/") => Some((200, "the-role".to_owned())),
        _ => assumed("AssumeRoleWithWebIdentity", "CANARY"),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "CANARY-jwt").unwrap();
    let (role, bad, url) = (server.url("/role"), server.url("/bad"), server.url(""));
    let authorization = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "CANARY-authorization");
    for (source, variables) in [
        (AwsSource::Container, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.as_str()), authorization][..]),
        (AwsSource::Container, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad.as_str())]),
        (AwsSource::Instance, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())]),
        (
            AwsSource::Default,
            &[
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
                ("AWS_ENDPOINT_URL_STS", url.as_str()),
            ],
        ),
        (
            AwsSource::Default,
            &[("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "CANARY"), ("AWS_SESSION_TOKEN", "CANARY")],
        ),
    ] {
        let Ok(found) = signer(source, variables).credentials().await else { continue };
        let request = sign::Signable {
            method: &Method::POST,
            host: "h.example",
            path: "/model/m/converse",
            headers: &[],
            body: &[Bytes::from_static(b"CANARY")],
        };
        sign::sign(&found, "eu-west-1", &request, clock::wall()).unwrap();
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("TRACE"), "{text}");
    let shown: Vec<_> = text.lines().filter(|line| line.contains("CANARY")).collect();
    assert!(shown.is_empty(), "{shown:#?}");
}

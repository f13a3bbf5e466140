//! Credentials from everywhere, of servers on loopback and of files: got once, renewed ahead of time, and again after a
//! refusal.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;

use aws_smithy_types::date_time::{DateTime, Format};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::secret::Secret;
use crate::upstream::aws::{AwsSource, sign};
use crate::upstream::client::ClientSettings;

const HOUR: Duration = Duration::from_secs(3_600);

/// What a request to the server of credentials said.
struct Asked {
    method: Method,
    path: String,
    authorization: Option<String>,
    metadata_token: Option<String>,
    body: String,
}

/// A server of credentials: what it was asked, and what it answers now.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<Mutex<Box<Answer>>>,
}

type Answer = dyn Fn(&Asked) -> Option<(u16, String)> + Send;

impl Server {
    /// `None` never answers.
    async fn start(answer: impl Fn(&Asked) -> Option<(u16, String)> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, asked: Arc::default(), answer: Arc::new(Mutex::new(Box::new(answer))) };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = serving.clone();
                let serve = service_fn(move |request| server.clone().serve(request));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        server
    }

    async fn serve(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, body) = request.into_parts();
        let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let asked = Asked {
            method: parts.method.clone(),
            path: parts.uri.to_string(),
            authorization: header("authorization"),
            metadata_token: header("x-aws-ec2-metadata-token"),
            body: String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        };
        let answer = (self.answer.lock().unwrap())(&asked);
        self.asked.lock().unwrap().push(asked);
        let Some((status, body)) = answer else { return std::future::pending().await };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", 21_600.into());
        Ok(response)
    }

    fn answers(&self, answer: impl Fn(&Asked) -> Option<(u16, String)> + Send + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn at(time: SystemTime) -> String {
    DateTime::from(time).fmt(Format::DateTime).unwrap()
}

/// Credentials of a container or a machine.
fn role(id: &str, lasts: Duration) -> Option<(u16, String)> {
    let end = at(clock::wall() + lasts);
    let text = format!(
        "{{\"Code\":\"Success\",\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"secret-of-{id}\",\"Token\":\"token-of-{id}\",\
         \"Expiration\":\"{end}\"}}"
    );
    Some((200, text))
}

/// What STS answers.
fn assumed(operation: &str, id: &str) -> Option<(u16, String)> {
    let end = at(clock::wall() + HOUR);
    let text = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>{end}</Expiration></Credentials></{operation}Result></{operation}Response>"
    );
    Some((200, text))
}

fn signer(source: AwsSource, variables: &[(&str, &str)]) -> Signer {
    let clients = Clients::new(&ClientSettings::default()).unwrap();
    let variables: HashMap<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Signer::new(AwsAccess { source, region: "eu-west-1".to_owned(), variables: Arc::new(variables) }, clients)
}

/// The id of the key that signs now.
async fn id(signer: &Signer) -> String {
    signer.credentials().await.map_or_else(|error| error.to_string(), |found| found.access_key_id().to_owned())
}

/// A container's role at this server.
fn container(server: &Server) -> Signer {
    let url = server.url("/role");
    signer(
        AwsSource::Container,
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-token")],
    )
}

/// Waits until something is so.
async fn until(holds: impl AsyncFn() -> bool) {
    tokio::time::timeout(Duration::from_secs(60), async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn keys_at_hand_are_used_as_they_are_and_never_shown() {
    let keys = AwsSource::Keys {
        access_key_id: Secret::new("AKIDCANARY").unwrap(),
        secret_access_key: Secret::new("CANARY/+=").unwrap(),
        session_token: Some(Secret::new("CANARY").unwrap()),
    };
    let signer = signer(keys, &[("AWS_SECRET_ACCESS_KEY", "CANARY")]);
    let found = signer.credentials().await.unwrap();
    assert_eq!((found.access_key_id(), found.secret_access_key()), ("AKIDCANARY", "CANARY/+="));
    assert_eq!((found.session_token(), found.expiry(), signer.region()), (Some("CANARY"), None, "eu-west-1"));
    signer.refuse(&found);
    assert!(signer.credentials().await.is_ok());
    assert!(!format!("{signer:?}").contains("CANARY"), "{signer:?}");
}

#[tokio::test]
async fn the_first_requests_wait_for_one_looking_up() {
    let server = Server::start(|_| role("one", HOUR)).await;
    let signer = container(&server);
    let requests: Vec<_> = (0..50)
        .map(|_| {
            tokio::spawn({
                let signer = signer.clone();
                async move { id(&signer).await }
            })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), "one");
    }
    assert_eq!(server.count(), 1);
    let asked = server.asked.lock().unwrap();
    assert_eq!((asked[0].path.as_str(), asked[0].authorization.as_deref()), ("/role", Some("the-token")));
}

#[tokio::test]
async fn what_expires_soon_is_renewed_by_one_task_while_it_is_used() {
    let server = Server::start(|_| role("old", Duration::from_secs(200))).await;
    let signer = container(&server);
    assert_eq!(id(&signer).await, "old");
    // Just looked up: it rests.
    assert_eq!((id(&signer).await, server.count()), ("old".to_owned(), 1));
    server.answers(|_| role("new", HOUR));
    signer.0.lock().landed = None;
    for _ in 0..20 {
        assert_eq!(id(&signer).await, "old", "no request waits");
    }
    until(async || id(&signer).await == "new").await;
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_what_is_valid() {
    let server = Server::start(|_| role("old", Duration::from_secs(200))).await;
    let signer = container(&server);
    assert_eq!(id(&signer).await, "old");
    server.answers(|_| Some((403, "CANARY".to_owned())));
    signer.0.lock().landed = None;
    assert_eq!(id(&signer).await, "old");
    until(async || signer.0.lock().landed.is_some()).await;
    assert_eq!((id(&signer).await, server.count()), ("old".to_owned(), 2), "and it rests");
}

#[tokio::test]
async fn what_has_expired_is_looked_up_again_and_not_used() {
    let server = Server::start(|_| role("stale", Duration::ZERO)).await;
    let signer = container(&server);
    assert_eq!(id(&signer).await, "stale", "whoever gave them may know better");
    server.answers(|_| role("fresh", HOUR));
    assert_eq!((id(&signer).await, server.count()), ("fresh".to_owned(), 2));
    let expired = Credentials::new("gone", "s", None, Some(clock::wall()), "test");
    signer.0.lock().credentials = Some(expired);
    server.answers(|_| Some((404, String::new())));
    let error = signer.credentials().await.unwrap_err().to_string();
    assert!(error.starts_with("no AWS credentials: role of this container:") && error.contains("404"), "{error}");
}

#[tokio::test]
async fn refused_ones_are_looked_up_again_and_older_ones_are_no_news() {
    let server = Server::start(|_| role("one", HOUR)).await;
    let signer = container(&server);
    let first = signer.credentials().await.unwrap();
    server.answers(|_| role("two", HOUR));
    signer.refuse(&first);
    assert_eq!(id(&signer).await, "two");
    signer.refuse(&first);
    assert_eq!((id(&signer).await, server.count()), ("two".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let server = Server::start(|_| None).await;
    let began = clock::now();
    let error = container(&server).credentials().await.unwrap_err().to_string();
    assert!(clock::now() - began <= LIMIT, "{error}");
    assert!(error.contains("role of this container"), "{error}");
}

#[tokio::test]
async fn a_machine_has_its_role() {
    let server = Server::start(|asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("PUT", "/latest/api/token") => Some((200, "session".to_owned())),
        (_, _) if asked.metadata_token.as_deref() != Some("session") => Some((401, String::new())),
        ("GET", "/latest/meta-data/iam/security-credentials/") => Some((200, "the-role".to_owned())),
        ("GET", "/latest/meta-data/iam/security-credentials/the-role") => role("machine", HOUR),
        _ => Some((404, String::new())),
    })
    .await;
    let url = server.url("");
    let variables = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()),
        // Another source's.
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    assert_eq!(id(&signer(AwsSource::Instance, &variables)).await, "machine");
    // The default chain takes the environment first, and then comes to the machine.
    assert_eq!(id(&signer(AwsSource::Default, &variables)).await, "AKID");
    assert_eq!(id(&signer(AwsSource::Default, &variables[..1])).await, "machine");
    let off = [variables[0], ("AWS_EC2_METADATA_DISABLED", "true")];
    let error = id(&signer(AwsSource::Default, &off)).await;
    assert!(error.starts_with("no AWS credentials: AWS's default chain:") && error.contains("Environment"), "{error}");
}

/// Profiles of each kind; roles are assumed at `url`.
fn profiles(url: &str) -> String {
    let assume = |source: &str| format!("role_arn = arn:aws:iam::1:role/r\n{source}\nendpoint_url = {url}\n");
    format!(
        "[profile by-key]\n{}[profile by-container]\n{}[profile by-environment]\n{}\
         [profile program]\ncredential_process = echo '{{\"Version\":1,\"AccessKeyId\":\"printed\",\"SecretAccessKey\":\"s\"}}'\n\
         [profile sso]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n\
         [sso-session s]\nsso_start_url = https://example.com\nsso_region = eu-west-1\n\
         [profile empty]\nregion = eu-west-1\n",
        assume("source_profile = base"),
        assume("credential_source = EcsContainer"),
        assume("credential_source = Environment"),
    )
}

#[tokio::test]
async fn a_profile_is_keys_a_role_or_a_program() {
    let server = Server::start(|asked| {
        if asked.path == "/role" {
            return role("container", HOUR);
        }
        let signed = asked.authorization.as_deref().unwrap_or_default().contains("/eu-west-1/sts/aws4_request");
        let base = ["base-key", "container", "environment"]
            .into_iter()
            .find(|base| asked.authorization.as_deref().is_some_and(|header| header.contains(&format!("={base}/"))));
        if signed && asked.body.contains("Action=AssumeRole&") {
            assumed("AssumeRole", &format!("by-{}", base?))
        } else {
            None
        }
    })
    .await;
    let (url, role) = (server.url("/"), server.url("/role"));
    let directory = tempfile::tempdir().unwrap();
    let aws = directory.path().join(".aws");
    std::fs::create_dir(&aws).unwrap();
    std::fs::write(aws.join("config"), profiles(&url)).unwrap();
    let keys = |id: &str| {
        format!(
            "[default]\naws_access_key_id = {id}\naws_secret_access_key = s\n\
                                   [base]\naws_access_key_id = base-key\naws_secret_access_key = s\n"
        )
    };
    std::fs::write(aws.join("credentials"), keys("first")).unwrap();
    let variables = [
        ("HOME", directory.path().to_str().unwrap()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.as_str()),
        ("AWS_ACCESS_KEY_ID", "environment"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let profile = |name: &str| signer(AwsSource::Profile(Some(name.to_owned())), &variables);
    for (name, expected) in [
        ("base", "base-key"),
        ("by-key", "by-base-key"),
        ("by-container", "by-container"),
        ("by-environment", "by-environment"),
        ("program", "printed"),
    ] {
        assert_eq!(id(&profile(name)).await, expected, "{name}");
    }
    for (name, why) in [("nobody", "nobody"), ("sso", "feature(s) enabled: sso"), ("empty", "profile empty of AWS")] {
        let error = id(&profile(name)).await;
        assert!(error.starts_with("no AWS credentials: profile") && error.contains(why), "{error}");
    }
    // What another program writes there is read when the old one is refused.
    let default = signer(AwsSource::Profile(None), &variables);
    let first = default.credentials().await.unwrap();
    std::fs::write(aws.join("credentials"), keys("second")).unwrap();
    assert_eq!((first.access_key_id(), id(&default).await.as_str()), ("first", "first"));
    default.refuse(&first);
    assert_eq!(id(&default).await, "second");
    assert!(id(&signer(AwsSource::Profile(None), &[("HOME", "/nowhere")])).await.contains("neither"));
}

#[tokio::test]
async fn a_web_identity_is_a_containers_role_too() {
    let server = Server::start(|asked| {
        let whole = asked.body.contains("WebIdentityToken=the-jwt") && asked.body.contains("RoleArn=arn");
        if whole { assumed("AssumeRoleWithWebIdentity", "web") } else { Some((400, String::new())) }
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "the-jwt").unwrap();
    let url = server.url("/");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
    ];
    assert_eq!(id(&signer(AwsSource::Container, &variables)).await, "web");
    assert_eq!(id(&signer(AwsSource::Default, &variables)).await, "web");
}

#[path = "log_tests.rs"]
mod log;

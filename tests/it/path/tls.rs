//! TLS to upstreams: verification is always on, and an authority of one's own can be added.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::lone;
use crate::support::{Gateway, plain_answer};

/// An upstream with a certificate that nobody vouches for; answers every connection's first request. Its address and
/// its certificate (PEM).
async fn self_signed(name: &str) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut read = Vec::new();
            // The tests' chats end with their only list.
            while !read.ends_with(b"}]}") && !read.ends_with(b"false}") {
                assert!(stream.read_buf(&mut read).await.unwrap() > 0);
            }
            stream.write_all(plain_answer("over TLS").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (addr, made.cert.pem())
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_a_network_failure() {
    let (addr, _) = self_signed("127.0.0.1").await;
    let gateway = Gateway::start(&lone(&format!("https://{addr}/v1"), "")).await;
    let answer = gateway.chat("default").await;
    assert_eq!((answer.status, answer.trail()), (502, "one/m1@K=network, one/m1@K=network"));
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_for_its_names_only() {
    for (name, trail) in [("127.0.0.1", "one/m1@K=ok:200"), ("localhost", "one/m1@K=network, one/m1@K=network")] {
        let (addr, pem) = self_signed(name).await;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(pem.as_bytes()).unwrap();
        let more = format!("upstream: {{ ca_file: '{}' }},", file.path().display());
        let gateway = Gateway::start(&lone(&format!("https://{addr}/v1"), &more)).await;
        let answer = gateway.chat("default").await;
        assert_eq!(answer.trail(), trail, "{name}");
    }
}

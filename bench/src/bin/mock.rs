//! `mock --listen ADDR`: the mock upstream by itself, for a proxy to be tried by hand.
#![allow(clippy::print_stdout, reason = "a command says where it listens on stdout")]

use backstop_bench::args::{Args, Error};
use backstop_bench::mock::Mock;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let args = Args::from_env()?;
    let listener = TcpListener::bind(args.required("listen")?).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Mock::new(None).serve(listener).await;
    Ok(())
}

//! A Unix socket takes no path that holds something else, and takes nothing along that is not its own.

use std::{fs, path::Path};

use super::common::PATIENCE;
use larder_engine::{
    Engine,
    serve::{ServeConfig, Server},
};

async fn serve_unix(path: &Path) -> std::io::Result<Server> {
    Server::start(Engine::new(), ServeConfig::new().unix(path)).await
}

#[tokio::test]
async fn an_ordinary_file_is_refused_and_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("notes.txt");
    fs::write(&file, "precious").expect("the folder can be written to");
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&file, &link).expect("the folder can be written to");
    for path in [&file, &link] {
        let refused = serve_unix(path).await.expect_err("it is no socket").to_string();
        assert!(refused.contains("exists and is not a socket"), "{refused}");
        assert!(refused.contains(&path.display().to_string()), "{refused}");
        assert_eq!(fs::read_to_string(path).expect("it is still there"), "precious");
    }
}

#[tokio::test]
async fn a_file_put_in_the_sockets_place_outlives_the_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("engine.sock");
    let server = serve_unix(&path).await.expect("a free path");
    fs::remove_file(&path).expect("the socket is there");
    fs::write(&path, "precious").expect("the folder can be written to");
    assert!(server.shutdown(PATIENCE).await);
    assert_eq!(fs::read_to_string(&path).expect("it is still there"), "precious");
}

#[tokio::test]
async fn a_later_servers_socket_outlives_an_earlier_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("engine.sock");
    let earlier = serve_unix(&path).await.expect("a free path");
    fs::remove_file(&path).expect("the socket is there");
    let later = serve_unix(&path).await.expect("a free path");
    assert!(earlier.shutdown(PATIENCE).await);
    let reached = tokio::net::UnixStream::connect(&path).await;
    reached.expect("the later server still listens there");
    assert!(later.shutdown(PATIENCE).await);
    assert!(!path.exists(), "its own socket goes with it");
}

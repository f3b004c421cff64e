//! Over TCP the server is who it says, or there is no connection.
//!
//! The run's server has a certificate of its own for `localhost`: `server.crt` beside its socket.

use ebb_store::{Store, StoreError};

use crate::home::{Home, server};
use crate::sample::{disk, read, write};

/// The store of a schema by TCP; `options` are about TLS.
fn connect(home: &Home, host: &str, options: &str) -> Result<Store, StoreError> {
    let address = server();
    let (folder, port) = socket(&address);
    let options = options.replace("ROOT", &format!("{folder}/server.crt"));
    let url = home.at(&format!("postgres://ebb@{host}:{port}/postgres"));
    Store::connect(&format!("{url}&{options}").parse()?)
}

/// The folder and the port in `postgres://ebb@%2Ffolder:port/…`.
fn socket(address: &str) -> (String, &str) {
    let host = address.split_once('@').unwrap().1.split('/').next().unwrap();
    let (folder, port) = host.rsplit_once(':').unwrap();
    (folder.replace("%2F", "/"), port)
}

#[test]
fn a_connection_to_a_known_server_is_encrypted() {
    let home = Home::new();
    for mode in ["require", "verify-full"] {
        let options = format!("sslmode={mode}&sslrootcert=ROOT&application_name={}", home.schema);
        let store = connect(&home, "localhost", &options).unwrap();
        let encrypted = home.sql(&format!(
            "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE application_name = '{}'",
            home.schema
        ));
        assert_eq!(encrypted, ["t"]);
        write(&store, |tx| tx.put_meta("mode", mode));
        assert_eq!(read(&store, |tx| tx.meta("mode")).as_deref(), Some(mode));
    }
    write(&home.open(), |tx| tx.insert_disk(&disk("d-1", 1)));
}

#[test]
fn one_that_cannot_be_verified_is_refused() {
    let home = Home::new();
    for (host, options) in [
        // Nobody vouches for it.
        ("localhost", "sslmode=require"),
        // It is another's certificate.
        ("127.0.0.1", "sslmode=require&sslrootcert=ROOT"),
    ] {
        let refused = connect(&home, host, options).err().unwrap();
        let StoreError::Unavailable(why) = refused else { panic!("{refused:?}") };
        assert!(why.contains("invalid peer certificate"), "{why}");
    }
    assert_eq!(
        home.sql("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"),
        [""; 0]
    );
}

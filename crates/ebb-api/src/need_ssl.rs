//! What is answered only where nobody on the way can read it.
//!
//! The service takes some operations over HTTPS alone, and answers them on plain HTTP with 404
//! `InvalidProtocol.NeedSsl`. Here a client on this machine may go without: there is no way on
//! which anybody could read.

use crate::peer::Peer;
use crate::{ApiError, Product};

/// Products of which every operation is: their parameters or replies are secrets.
const PRODUCTS: &[&str] = &["Kms", "Ram", "Sts"];

/// Those of ECS that are served here, as the service's metadata has them.
const OF_ECS: &[&str] = &[
    "CloneDisks",
    "DescribeAutoSnapshotPolicyAssociations",
    "DescribeLockedSnapshots",
    "LockSnapshot",
    "OpenSnapshotService",
    "UnlockSnapshot",
];

/// Whether `peer` must ask for this over TLS.
pub(crate) fn refuses(product: &Product, action: &str, peer: &Peer) -> bool {
    // A listener on `::` sees IPv4 clients at mapped addresses.
    let is_readable = !peer.tls && !peer.address.ip().to_canonical().is_loopback();
    let whole = PRODUCTS.iter().any(|name| product.name.eq_ignore_ascii_case(name));
    is_readable && (whole || (*product == Product::ECS && OF_ECS.contains(&action)))
}

/// What it is told.
pub(crate) fn refusal() -> ApiError {
    let message = "Your request is denied as lack of ssl protect.";
    ApiError::new(404, "InvalidProtocol.NeedSsl", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: &[&str] = &["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"];
    const FAR: &[&str] = &["10.0.0.1:1", "[fe80::1]:1", "[::ffff:10.0.0.1]:1", "0.0.0.0:1"];

    fn peer(address: &str, tls: bool) -> Peer {
        Peer { address: address.parse().expect("an address"), tls }
    }

    #[test]
    fn a_secret_is_asked_for_over_tls_or_from_this_machine() {
        let kms = Product::KMS;
        let ram = Product::RAM;
        for product in [kms, ram, Product::STS] {
            for address in FAR {
                assert!(refuses(&product, "Any", &peer(address, false)), "{address}");
                assert!(!refuses(&product, "Any", &peer(address, true)), "{address}");
            }
            for address in NEAR {
                assert!(!refuses(&product, "Any", &peer(address, false)), "{address}");
            }
        }
    }

    #[test]
    fn of_ecs_only_some_operations_are_refused() {
        let far = peer(FAR[0], false);
        for action in OF_ECS {
            assert!(refuses(&Product::ECS, action, &far), "{action}");
            assert!(!refuses(&Product::ECS, action, &peer(NEAR[0], false)), "{action}");
            assert!(!refuses(&Product::LOCATION, action, &far), "{action}");
        }
        for action in ["ResetDisk", "DescribeDisks", "locksnapshot", ""] {
            assert!(!refuses(&Product::ECS, action, &far), "{action}");
        }
    }

    #[test]
    fn every_operation_of_the_list_is_served() {
        let names: Vec<&str> = crate::ops::FAMILIES
            .iter()
            .copied()
            .flatten()
            .filter(|operation| operation.product == Product::ECS)
            .map(|operation| operation.name)
            .collect();
        for action in OF_ECS {
            assert!(names.contains(action), "{action}");
        }
    }

    #[test]
    fn the_refusal_is_the_services() {
        let refusal = refusal();
        assert_eq!((refusal.status, &*refusal.code), (404, "InvalidProtocol.NeedSsl"));
    }
}

//! A session that has ended, as every operation meets it, in both signatures. From outside, beside
//! all other callers, `tests/conformance/test_matrix.py` has it too.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod plane;

use common::{Answer, KEY, SECRET, V1, V3, stamp};
use ebb_api::{OperationDef, Product, ops};
use plane::Plane;
use serde_json::Value;

/// A key, and the token that belongs to it.
struct Who {
    id: &'static str,
    secret: &'static str,
    token: Option<String>,
}

impl Who {
    const ROOT: Self = Self { id: KEY, secret: SECRET, token: None };

    fn of(made: &Value) -> Self {
        let text = |name: &str| &*made[name].as_str().unwrap().to_owned().leak();
        let token = made["SecurityToken"].as_str().map(str::to_owned);
        Self { id: text("AccessKeyId"), secret: text("AccessKeySecret"), token }
    }

    fn ask(
        &self,
        plane: &Plane,
        (product, action): (Product, &str),
        params: &[(&str, &str)],
    ) -> Answer {
        let now = stamp(plane.control.now());
        let request = V1::new(action, params).set("Version", product.version);
        let mut request = request.set("AccessKeyId", self.id).set("Timestamp", &now);
        if let Some(token) = &self.token {
            request = request.set("SecurityToken", token);
        }
        request.secret = self.secret;
        plane.send(&request.bytes())
    }

    fn call(&self, plane: &Plane, what: (Product, &str), params: &[(&str, &str)]) -> Value {
        let answer = self.ask(plane, what, params);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// As [`Who::ask`], signed the newer way.
    fn ask_v3(&self, plane: &Plane, operation: &OperationDef) -> Answer {
        let now = stamp(plane.control.now());
        let request = V3::new(operation.name, &[]).set("x-acs-date", &now);
        let mut request = request.set("x-acs-version", operation.product.version);
        if let Some(token) = &self.token {
            request = request.set("x-acs-security-token", token);
        }
        (request.key, request.secret) = (self.id, self.secret);
        plane.send(&request.bytes())
    }
}

/// A session of 900 s that may do everything.
fn session(plane: &Plane) -> Who {
    let root = Who::ROOT;
    let ram = |action, params: &[(&str, &str)]| root.call(plane, (Product::RAM, action), params);
    let account = root.call(plane, (Product::STS, "GetCallerIdentity"), &[])["AccountId"].clone();
    let account = account.as_str().unwrap();
    let trust = format!(
        "{{\"Version\":\"1\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\
         \"Principal\":{{\"RAM\":[\"acs:ram::{account}:root\"]}}}}]}}"
    );
    ram("CreateUser", &[("UserName", "alice")]);
    ram("CreateRole", &[("RoleName", "all"), ("AssumeRolePolicyDocument", &trust)]);
    let policy = [("PolicyType", "System"), ("PolicyName", "AdministratorAccess")];
    ram("AttachPolicyToUser", &[policy[0], policy[1], ("UserName", "alice")]);
    ram("AttachPolicyToRole", &[policy[0], policy[1], ("RoleName", "all")]);
    let alice = Who::of(&ram("CreateAccessKey", &[("UserName", "alice")])["AccessKey"]);
    let arn = format!("acs:ram::{account}:role/all");
    let wanted = [("RoleArn", &*arn), ("RoleSessionName", "short"), ("DurationSeconds", "900")];
    let made = alice.call(plane, (Product::STS, "AssumeRole"), &wanted);
    Who::of(&made["Credentials"])
}

#[test]
fn no_operation_lets_a_session_in_that_has_ended() {
    let plane = Plane::start();
    let session = session(&plane);
    plane.ahead(840);
    session.call(&plane, (Product::ECS, "DescribeRegions"), &[]);
    plane.ahead(900);
    let ended = (400, "InvalidSecurityToken.Expired".to_owned());
    let operations = || ops::FAMILIES.iter().copied().flatten();
    assert!(operations().count() > 100);
    for operation in operations() {
        let answer = session.ask(&plane, (operation.product, operation.name), &[]);
        assert_eq!(answer.outcome(), ended, "{}", operation.name);
        let answer = session.ask_v3(&plane, operation);
        assert_eq!(answer.outcome(), ended, "{}", operation.name);
    }
    // The clock is not what keeps it out.
    Who::ROOT.call(&plane, (Product::ECS, "DescribeRegions"), &[]);
}

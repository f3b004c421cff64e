//! The policies that are there without anybody making them.
//!
//! Each allows what RAM documents it to allow, as far as a service here has it: what the cloud adds
//! for services that are not here (VPC's lists in those of ECS, the access analyzer) is left out.
//! `ReadOnlyAccess` is all that is named as reading; no such operation here shows a secret.

/// A policy that is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemPolicy {
    /// Such as `AdministratorAccess`.
    pub name: &'static str,
    /// What it lets somebody do, in a sentence.
    pub description: &'static str,
    /// Its document.
    pub document: &'static str,
}

macro_rules! allow {
    ($actions:literal) => {
        concat!(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"#,
            $actions,
            r#","Resource":"*"}]}"#
        )
    };
}

/// All of them.
pub const SYSTEM_POLICIES: &[SystemPolicy] = &[
    SystemPolicy {
        name: "AdministratorAccess",
        description: "Everything there is.",
        document: allow!(r#""*""#),
    },
    SystemPolicy {
        name: "ReadOnlyAccess",
        description: "Looking at everything there is.",
        document: allow!(
            r#"["*:Describe*","*:List*","*:Get*","*:BatchGet*","*:Query*","*:Check*"]"#
        ),
    },
    SystemPolicy {
        name: "AliyunECSFullAccess",
        description: "Disks, snapshots, instances and all else of ECS.",
        document: allow!(r#""ecs:*""#),
    },
    SystemPolicy {
        name: "AliyunECSReadOnlyAccess",
        description: "Looking at what ECS has.",
        document: allow!(r#"["ecs:Describe*","ecs:List*"]"#),
    },
    SystemPolicy {
        name: "AliyunRAMFullAccess",
        description: "Users, roles and policies.",
        document: allow!(r#""ram:*""#),
    },
    SystemPolicy {
        name: "AliyunRAMReadOnlyAccess",
        description: "Looking at users, roles and policies.",
        document: allow!(r#"["ram:Get*","ram:List*"]"#),
    },
    SystemPolicy {
        name: "AliyunKMSFullAccess",
        description: "Keys, and what is sealed with them.",
        document: allow!(r#""kms:*""#),
    },
    SystemPolicy {
        name: "AliyunSTSAssumeRoleAccess",
        description: "Taking on roles that trust whoever has it.",
        document: allow!(r#""sts:AssumeRole""#),
    },
];

/// The policy of that name.
#[must_use]
pub fn system_policy(name: &str) -> Option<&'static SystemPolicy> {
    SYSTEM_POLICIES.iter().find(|policy| policy.name == name)
}

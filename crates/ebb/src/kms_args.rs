//! Where the material of the key service's keys is: in the records, or in Vault or OpenBao.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use ebb_control::{Entropy as _, SystemEntropy};
use ebb_kms::{EmbeddedKeys, KeyStore, MasterKey, VaultConfig, VaultKeys, VaultToken};
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::Failure;

/// Where the material of keys is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KmsKind {
    /// In the records, sealed with the master key.
    #[default]
    Embedded,
    /// In the transit engine of a Vault or an OpenBao.
    Vault,
}

/// Flags and variables of the key service.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct KmsArgs {
    /// Where the material of the key service's keys is [default: embedded].
    #[arg(long, env = "EBB_KMS", value_enum, value_name = "embedded|vault")]
    pub kms: Option<KmsKind>,
    /// Where Vault or OpenBao is: https://…
    #[arg(long, env = "VAULT_ADDR", value_name = "URL")]
    pub vault_addr: Option<String>,
    /// A file with the token, read again when it is refused [default: VAULT_TOKEN].
    #[arg(long, env = "EBB_VAULT_TOKEN_FILE", value_name = "FILE")]
    pub vault_token_file: Option<PathBuf>,
    /// Where the transit engine is mounted [default: transit].
    #[arg(long, env = "EBB_VAULT_MOUNT", value_name = "PATH")]
    pub vault_mount: Option<String>,
    /// The namespace, where there are some.
    #[arg(long, env = "VAULT_NAMESPACE", value_name = "NAME")]
    pub vault_namespace: Option<String>,
    /// Authorities in PEM in the place of the system's.
    #[arg(long, env = "VAULT_CACERT", value_name = "FILE")]
    pub vault_ca: Option<PathBuf>,
}

impl KmsArgs {
    /// These, and where one is not given the other's.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            kms: self.kms.or(other.kms),
            vault_addr: self.vault_addr.or(other.vault_addr),
            vault_token_file: self.vault_token_file.or(other.vault_token_file),
            vault_mount: self.vault_mount.or(other.vault_mount),
            vault_namespace: self.vault_namespace.or(other.vault_namespace),
            vault_ca: self.vault_ca.or(other.vault_ca),
        }
    }

    /// Opens the store of keys. Vault is not asked yet: a server starts without it, and what needs
    /// it is refused meanwhile.
    pub(crate) fn open(
        &self,
        master: &MasterKey,
        token: Option<String>,
    ) -> Result<Arc<dyn KeyStore>, Failure> {
        if self.kms.unwrap_or_default() == KmsKind::Embedded {
            let random = |bytes: &mut [u8]| SystemEntropy.fill(bytes);
            return Ok(Arc::new(EmbeddedKeys::new(master.clone(), random)));
        }
        let address = self.vault_addr.as_ref().ok_or("--kms vault needs --vault-addr URL")?;
        let token = match (&self.vault_token_file, token) {
            (Some(file), _) => VaultToken::File(file.clone()),
            (None, Some(token)) => VaultToken::Given(token),
            (None, None) => {
                return Err("--kms vault needs --vault-token-file FILE or VAULT_TOKEN".into());
            }
        };
        let mut config = VaultConfig::new(address.clone(), token);
        if let Some(mount) = &self.vault_mount {
            config.mount.clone_from(mount);
        }
        config.namespace.clone_from(&self.vault_namespace);
        config.authority.clone_from(&self.vault_ca);
        Ok(Arc::new(VaultKeys::open(&config, &Handle::current())?))
    }
}

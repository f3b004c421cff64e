//! Where the master key comes from.
//!
//! ```text
//!   DIR/master.key           made on the first start, unless one of these says otherwise:
//!   --master-key-file        a file, such as one that a volume of secrets mounts
//!   --master-key-command     what a command prints, such as one that asks a hardware module
//!   EBB_MASTER_KEY           the environment
//! ```
//! It is 64 hexadecimal digits in each. Two of the last three are one too many, and refused. No
//! message and no log has it, nor `--help`; programs that the server runs do not inherit it.

use std::env;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use ebb_kms::MasterKey;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::Failure;
use crate::data_dir::{DataDir, Sealed};

/// Read here and not by clap, which shows values.
const VARIABLE: &str = "EBB_MASTER_KEY";

/// How long a command has to print the key: whoever started the server waits.
const COMMAND_TIME: Duration = Duration::from_secs(10);

/// More than a key and blanks around it are; a command that prints more prints no key.
const LONGEST_OUTPUT: u64 = 4096;

/// Where the master key is, if not in the data directory.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct MasterKeyArgs {
    /// A file with the master key, 64 hexadecimal digits; it may be in EBB_MASTER_KEY itself too
    /// [default: master.key in the data directory, made on first start].
    #[arg(long, env = "EBB_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
    /// A command that prints the master key; sh runs it on each start.
    #[arg(long, env = "EBB_MASTER_KEY_COMMAND", hide_env_values = true, value_name = "COMMAND")]
    pub master_key_command: Option<String>,
}

/// Where the master key is. The key itself is not in it, for it is shown in logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MasterKeySource {
    DataDir,
    File(PathBuf),
    Command(String),
    Variable,
}

impl MasterKeySource {
    /// What flags, variables and the file say together.
    pub(crate) fn of(args: MasterKeyArgs) -> Result<Self, Failure> {
        let variable = env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
        Self::choose(args, variable)
    }

    fn choose(args: MasterKeyArgs, variable: bool) -> Result<Self, Failure> {
        let MasterKeyArgs { master_key_file: file, master_key_command: command } = args;
        match (file, command, variable) {
            (None, None, false) => Ok(Self::DataDir),
            (Some(path), None, false) => Ok(Self::File(path)),
            (None, Some(command), false) => Ok(Self::Command(command)),
            (None, None, true) => Ok(Self::Variable),
            _ => Err("there is one master key: give only one of --master-key-file, \
                      --master-key-command and EBB_MASTER_KEY"
                .into()),
        }
    }

    /// Reads it. Where it is in the data directory, and nothing is sealed with one yet, it is made.
    pub(crate) fn read(&self, data_dir: &DataDir, sealed: Sealed) -> Result<MasterKey, Failure> {
        let unused = data_dir.join("master.key");
        if *self != Self::DataDir && unused.exists() {
            let path = unused.display();
            tracing::warn!(%path, "the master key is from elsewhere: this file is not read");
        }
        match self {
            Self::DataDir => data_dir.master_key(sealed),
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|error| {
                    format!("cannot read the master key, {}: {error}", path.display())
                })?;
                parse(&text, &path.display().to_string())
            }
            Self::Command(command) => {
                let printed = output(command, COMMAND_TIME)?;
                parse(&printed, "what --master-key-command printed")
            }
            Self::Variable => parse(&env::var(VARIABLE).unwrap_or_default(), VARIABLE),
        }
    }
}

/// A master key in words. What is told of one that is none is only how long it is.
pub(crate) fn parse(text: &str, whose: &str) -> Result<MasterKey, Failure> {
    let text = text.trim();
    from_hex(text).map(MasterKey::new).ok_or_else(|| {
        let length = text.len();
        format!("{whose} is no key: it must be 64 hexadecimal digits, and is {length} bytes").into()
    })
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// A program to run, which does not inherit the master key.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_remove(VARIABLE);
    command
}

/// What a command prints, if it ends well and in time. What it says of itself goes to our own
/// standard error.
fn output(command: &str, time: Duration) -> Result<String, Failure> {
    let deadline = Instant::now() + time;
    // In a group of its own, so that what it began ends with it.
    let mut child = program("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot run sh for --master-key-command: {error}"))?;
    let printed = printed(&mut child);
    let ended = ended(&mut child, &printed, deadline);
    if ended.is_none() {
        kill(&mut child);
    }
    let (succeeded, how, text) = ended.ok_or_else(|| {
        format!(
            "--master-key-command did not end within {} s and was killed: run it by hand to see \
             what it waits for",
            time.as_secs()
        )
    })?;
    if !succeeded {
        return Err(format!(
            "--master-key-command failed, {how}: see what it wrote above, and run it by hand"
        )
        .into());
    }
    String::from_utf8(text).map_err(|_| "what --master-key-command printed is no text".into())
}

/// Its output, once it is at its end.
fn printed(child: &mut Child) -> Receiver<Vec<u8>> {
    let stdout = child.stdout.take().expect("its output is piped");
    let (send, printed) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        // What could not be read is no key, and is told as such.
        let _ = stdout.take(LONGEST_OUTPUT).read_to_end(&mut text);
        // Nobody waits any more once the time is over.
        let _ = send.send(text);
    });
    printed
}

/// Whether it succeeded, how it ended, and what it printed; `None` where that took too long.
fn ended(
    child: &mut Child,
    printed: &Receiver<Vec<u8>>,
    deadline: Instant,
) -> Option<(bool, String, Vec<u8>)> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let text = printed.recv_timeout(left()).ok()?;
    loop {
        if let Some(status) = child.try_wait().ok()? {
            return Some((status.success(), status.to_string(), text));
        }
        if left().is_zero() {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Best done, and no reason to fail for another reason than the one that is told.
fn kill(child: &mut Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn data_dir() -> (TempDir, DataDir) {
        let folder = TempDir::new().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        (folder, data_dir)
    }

    /// Whether it is the key of these tests.
    fn is_it(key: &MasterKey) -> bool {
        let bytes: Vec<u8> = (0..32).collect();
        let sealed = MasterKey::new(bytes.try_into().unwrap()).seal([0; 12], "", b"x");
        key.open("", &sealed).is_some()
    }

    fn command(text: &str) -> Result<MasterKey, String> {
        let (_folder, data_dir) = data_dir();
        let source = MasterKeySource::Command(text.to_owned());
        source.read(&data_dir, Sealed::Nothing).map_err(|error| error.to_string())
    }

    #[test]
    fn there_is_one_source() {
        let args = |file: Option<&str>, command: Option<&str>| MasterKeyArgs {
            master_key_file: file.map(PathBuf::from),
            master_key_command: command.map(str::to_owned),
        };
        let chosen = |file, command, variable| {
            MasterKeySource::choose(args(file, command), variable).map_err(|e| e.to_string())
        };
        assert_eq!(chosen(None, None, false), Ok(MasterKeySource::DataDir));
        assert_eq!(chosen(Some("f"), None, false), Ok(MasterKeySource::File("f".into())));
        assert_eq!(chosen(None, Some("c"), false), Ok(MasterKeySource::Command("c".into())));
        assert_eq!(chosen(None, None, true), Ok(MasterKeySource::Variable));
        let many = [
            (Some("f"), Some("c"), false),
            (Some("f"), None, true),
            (None, Some("c"), true),
            (Some("f"), Some("c"), true),
        ];
        for (file, command, variable) in many {
            let why = chosen(file, command, variable).unwrap_err();
            assert!(why.contains("only one of --master-key-file"), "{why}");
        }
    }

    #[test]
    fn the_data_directory_has_its_own() {
        let (_folder, data_dir) = data_dir();
        let why = MasterKeySource::DataDir.read(&data_dir, Sealed::Here).unwrap_err().to_string();
        assert!(why.contains("master.key is missing"), "{why}");
        let made = MasterKeySource::DataDir.read(&data_dir, Sealed::Nothing).unwrap();
        let sealed = made.seal([0; 12], "", b"x");
        let again = MasterKeySource::DataDir.read(&data_dir, Sealed::Here).unwrap();
        assert!(again.open("", &sealed).is_some());
    }

    #[test]
    fn a_file() {
        let (folder, data_dir) = data_dir();
        let path = folder.path().join("elsewhere");
        let source = MasterKeySource::File(path.clone());
        let why = source.read(&data_dir, Sealed::Nothing).unwrap_err().to_string();
        assert!(why.contains("cannot read the master key") && !path.exists(), "{why}");
        for text in [KEY.to_owned(), format!("{KEY}\n"), format!(" {}\r\n", KEY.to_uppercase())] {
            fs::write(&path, text).unwrap();
            assert!(is_it(&source.read(&data_dir, Sealed::Here).unwrap()));
        }
        assert!(!data_dir.join("master.key").exists());
    }

    #[test]
    fn what_is_no_key_is_not_told() {
        for text in ["", "secret", &KEY[1..], &format!("{KEY}00"), &KEY.replace('0', "g")] {
            let why = parse(text, "it").map(drop).unwrap_err().to_string();
            assert!(why.contains("it must be 64 hexadecimal digits"), "{why}");
            assert!(text.is_empty() || !why.contains(text), "{why}");
        }
    }

    #[test]
    fn a_command() {
        assert!(is_it(&command(&format!("echo {KEY}")).unwrap()));
        assert!(is_it(&command(&format!("echo told >&2; printf '%s' {KEY}")).unwrap()));
        let cases = [
            (format!("echo {KEY}; exit 3"), "failed, exit status: 3"),
            ("kill -9 $$".to_owned(), "failed, signal: 9"),
            ("no-such-program".to_owned(), "failed, exit status: 127"),
            ("true".to_owned(), "it must be 64 hexadecimal digits, and is 0 bytes"),
            (format!("echo {}", &KEY[1..]), "it must be 64 hexadecimal digits, and is 63 bytes"),
            (format!("echo {KEY}; echo {KEY}"), "it must be 64 hexadecimal digits"),
            ("printf '\\377'".to_owned(), "is no text"),
            ("cat /dev/zero".to_owned(), "--master-key-command"),
        ];
        for (text, words) in cases {
            let why = command(&text).map(drop).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
            assert!(!why.contains(&KEY[1..]), "{why}");
        }
    }

    #[test]
    fn a_command_that_goes_on_is_killed_with_what_it_began() {
        let folder = TempDir::new().unwrap();
        let late = folder.path().join("late");
        let text = format!("(sleep 1; touch {}) & echo {KEY}", late.display());
        for text in [format!("{text}; sleep 60"), text] {
            let began = Instant::now();
            let why = output(&text, Duration::from_millis(300)).unwrap_err().to_string();
            assert!(why.contains("did not end within") && why.contains("by hand"), "{why}");
            assert!(began.elapsed() < Duration::from_secs(30));
        }
        thread::sleep(Duration::from_millis(1200));
        assert!(!late.exists());
    }

    #[test]
    fn programs_do_not_inherit_it() {
        let program = program("true");
        let variables: Vec<_> = program.get_envs().collect();
        assert_eq!(variables, [(VARIABLE.as_ref(), None)]);
    }
}

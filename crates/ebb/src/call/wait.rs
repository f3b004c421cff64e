//! `ebb call --wait`: until a task is over.

use std::time::Duration;

use ebb_api::client::Client;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::Failure;

const PAUSE: Duration = Duration::from_millis(300);

/// Waits for the task that a reply names, if it names one. What is drawn goes to the terminal, and
/// nowhere where there is none.
pub(super) async fn until_over(
    client: &Client,
    reply: &Value,
    region: Option<&str>,
) -> Result<(), Failure> {
    let Some(task) = reply["TaskId"].as_str().filter(|id| !id.is_empty()) else { return Ok(()) };
    let region = reply["RegionId"].as_str().or(region);
    let region = region.ok_or("which region is the task of? Give --RegionId")?;
    let bar = ProgressBar::new(100);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos:>3}% {elapsed}");
    bar.set_style(style.expect("the template is well formed"));
    loop {
        let params = [("RegionId", region), ("TaskId", task)];
        let told = client.call("DescribeTaskAttribute", &params).await?;
        let text = |name: &str| told[name].as_str().unwrap_or_default();
        bar.set_message(text("TaskAction").to_owned());
        bar.set_position(text("TaskProcess").trim_end_matches('%').parse().unwrap_or(0));
        match text("TaskStatus") {
            "Processing" => tokio::time::sleep(PAUSE).await,
            "Failed" => {
                bar.abandon();
                let part = &told["OperationProgressSet"]["OperationProgress"][0];
                let why = part["ErrorMsg"].as_str().unwrap_or_default();
                return Err(format!("{task} failed: {why}").into());
            }
            _ => {
                bar.finish();
                return Ok(());
            }
        }
    }
}

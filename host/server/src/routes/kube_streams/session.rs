//! exec and attach.

use std::time::Duration;

use podlab_kube::control_plane::SessionSpec;
use podlab_world::Input;
use podlab_world::gateway::Outside;
use serde_json::{Value, json};

use super::World;
use super::channels::{Client, Event};

/// How often it is looked whether a program has read what it was given.
const LOOK: Duration = Duration::from_millis(20);

/// Connects a client with a program until one of them is done.
pub async fn run(world: World, spec: SessionSpec, mut client: Client) {
    let command = spec.command.clone();
    let (id, mut incoming) = match world.change(move |live| live.session(spec)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(why)) => return client.finish(&failure(&why)).await,
        Err(error) => return client.finish(&failure(&error.message)).await,
    };
    client.greet().await;
    let mut full = false;
    let status = loop {
        tokio::select! {
            event = client.next(), if !full => {
                let done = match event {
                    Ok(Some(Event::Input(bytes))) => {
                        let done = world.send(id, bytes).await;
                        full = world.is_full(id).await;
                        done
                    }
                    Ok(Some(Event::End)) => world.input(Input::Shut { id }).await,
                    Ok(Some(Event::Resize(columns, rows))) => {
                        world.input(Input::Resize { id, columns, rows }).await
                    }
                    Ok(Some(Event::Ping(bytes))) => match client.reply(bytes).await {
                        Ok(()) => Ok(()),
                        Err(_) => return world.drop(id).await,
                    },
                    Ok(None) | Err(_) => return world.drop(id).await,
                };
                if let Err(error) = done {
                    break failure(&error.message);
                }
            }
            () = tokio::time::sleep(LOOK), if full => full = world.is_full(id).await,
            out = incoming.next() => match out {
                Some(Outside::Data(piece)) => {
                    if client.output(&piece).await.is_err() {
                        return world.drop(id).await;
                    }
                }
                Some(Outside::Exited(code)) => break exited(command.as_deref(), code),
                Some(Outside::Failed(why)) => break failure(&why),
                Some(Outside::Opened) => {}
                Some(Outside::Ended) | None => break failure("the output was not read in time"),
            }
        }
    };
    client.finish(&status).await;
}

/// How a program ended, as a Status (`remotecommand/exec.go`). Attaching always succeeds.
fn exited(command: Option<&[String]>, code: i32) -> Value {
    match command {
        Some(command) if code != 0 => {
            let command = command.join(" ");
            json!({
                "metadata": {},
                "status": "Failure",
                "message": format!("command terminated with non-zero exit code: error executing \
                    command [{command}], exit code {code}"),
                "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
            })
        }
        _ => json!({"metadata": {}, "status": "Success"}),
    }
}

fn failure(why: &str) -> Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": why,
        "reason": "InternalError",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_causes() {
        let argv = ["sh".to_owned()];
        assert_eq!(exited(Some(&argv), 0)["status"], "Success");
        assert_eq!(exited(Some(&argv), 7)["details"]["causes"][0]["message"], "7");
        assert_eq!(exited(None, 7)["status"], "Success");
    }
}

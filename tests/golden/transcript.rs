//! What a transcript says: commands, and what a real control plane answered.

/// One command of a transcript.
pub struct Step {
    /// As it was typed.
    pub command: String,
    /// `--- stdout`, its text, `--- stderr`, its text, `--- exit N`.
    pub answer: String,
}

/// Takes a transcript apart.
pub fn parse(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("$ ") {
            // Inside an answer no line begins so.
            Some(command) => {
                steps.push(Step { command: command.into(), answer: String::new() });
            }
            None => {
                let step = steps.last_mut().expect("a transcript begins with a command");
                step.answer.push_str(line);
                step.answer.push('\n');
            }
        }
    }
    for step in &mut steps {
        step.answer.truncate(step.answer.trim_end().len());
    }
    steps
}

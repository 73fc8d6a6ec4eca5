use std::io::{BufRead, IsTerminal, Read, Write};

use record::Prediction;
use serde::Deserialize;
use serde_json::json;

use crate::{Context, args::PredictArgs, error::Result, print};

pub fn run(context: &Context, args: &PredictArgs) -> Result<()> {
    let (run, folder) = context.runtime.block_on(app::runs::model_folder(&context.home, args.run))?;
    if args.lines {
        return answer_lines(&predict::load(&folder, run)?);
    }
    let text = if args.text.is_empty() { read_input()? } else { args.text.join(" ") };
    if text.trim().is_empty() {
        // Told before the model is loaded, which may take a while.
        return Err(predict::Error::EmptyText.into());
    }
    let prediction = predict::predict(&predict::load(&folder, run)?, &text)?;
    if context.json { print::json(&prediction) } else { print_prediction(&prediction) }
}

fn read_input() -> Result<String> {
    let mut input = std::io::stdin();
    if input.is_terminal() {
        print::note("Type a text and end it with Ctrl+D on a line of its own.");
    }
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of standard input: a text as it is, or an object whose text may have line ends.
#[derive(Deserialize)]
struct Request {
    text: String,
}

/// Answers every line with one line, until the input ends. A text that cannot be judged gets
/// its problem as the answer, and the next line is read.
fn answer_lines(loaded: &predict::Loaded) -> Result<()> {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(std::io::stdout().flush()?);
        }
        let raw = String::from_utf8_lossy(&line);
        let text =
            serde_json::from_str::<Request>(&raw).map_or_else(|_| raw.into_owned(), |request| request.text);
        match predict::predict(loaded, &text) {
            Ok(prediction) => print::json(&prediction)?,
            Err(error) => print::json(&json!({ "problem": error.problem() }))?,
        }
    }
}

fn print_prediction(prediction: &Prediction) -> Result<()> {
    print::line(&prediction.mbti)?;
    for (axis, found) in &prediction.axes {
        let doubt = if found.probability < 0.55 { "  (close to a coin toss)" } else { "" };
        print::line(&format!("{axis}  {}  {:.2}{doubt}", found.letter, found.probability))?;
    }
    let cut = if prediction.truncated { ", the rest was not read" } else { "" };
    print::note(&format!(
        "Run {}, {}; {:.0} ms for {} tokens{cut}. MBTI is not a diagnosis, and no ground for decisions about people.",
        prediction.run, prediction.model, prediction.milliseconds, prediction.tokens
    ));
    Ok(())
}

use record::Model;

use crate::{Context, args::Models, error::Result, print};

pub fn run(context: &Context, command: Models) -> Result<()> {
    let Context { home, json, runtime } = context;
    match command {
        Models::Add { dir, name } => {
            let model = runtime.block_on(async {
                // The quick look first, for its clearer messages; then every weight's shape, as
                // training would read it, before anything is copied.
                let folder = app::models::check(&dir)?;
                for sentence in model::inspect(&folder)?.sentences() {
                    print::note(&sentence);
                }
                Ok::<_, crate::error::Error>(app::models::add(home, &dir, name.as_deref()).await?)
            })?;
            if *json { print::json(&model) } else { print_list(&[model]) }
        }
        Models::List => {
            let all = runtime.block_on(app::models::list(home))?;
            if *json { print::json(&all) } else { print_list(&all) }
        }
        Models::Remove { name } => {
            runtime.block_on(app::models::remove(home, &name))?;
            print::note(&format!("Removed {name}."));
            Ok(())
        }
    }
}

fn print_list(all: &[Model]) -> Result<()> {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|model| {
            let count = model.parameters.map(|count| format!("{:.1} M", count as f64 / 1e6));
            let note = if model.built_in { "built in" } else { "" };
            vec![model.name.clone(), model.family.clone(), count.unwrap_or_else(|| "–".into()), note.into()]
        })
        .collect();
    print::table(&["name", "family", "weights", ""], &rows)
}

use std::path::PathBuf;

use record::{CatalogueModel, Model};

use crate::{
    Context,
    args::Models,
    error::{Result, named_by},
    hub_command, print, transfer,
};

pub fn run(context: &Context, command: Models) -> Result<()> {
    let Context { home, json, runtime } = context;
    match command {
        Models::Add { source, name, revision, plan } if app::downloads::is_repo(&source) => {
            add_from_hub(context, &source.to_string_lossy(), name.as_deref(), revision.as_deref(), plan)
        }
        Models::Catalogue => {
            let all = app::downloads::catalogue();
            if *json { print::json(&all) } else { print_catalogue(&all) }
        }
        Models::Search { words } => hub_command::search(context, record::RepoKind::Model, &words.join(" ")),
        Models::Add { source: dir, name, .. } => {
            let model = transfer::follow(context, |moved| async move {
                app::models::add_watched(home, &dir, name.as_deref(), &moved, look).await
            });
            let model = model.map_err(named_by("--name"))?;
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

/// The folder of the built-in bag of words.
pub fn built_in_words(context: &Context) -> Result<Option<PathBuf>> {
    let models = context.runtime.block_on(context.home.store.models())?;
    let words = models.into_iter().find(|model| model.built_in && model.family == "words");
    Ok(words.map(|words| PathBuf::from(words.folder)))
}

/// Looks at every weight's shape, as training would read it, before anything is copied.
fn look(folder: &std::path::Path) -> std::result::Result<(), app::Error> {
    let found = model::inspect(folder).map_err(|error| app::Error::Problem(error.problem()))?;
    found.sentences().iter().for_each(|sentence| print::note(sentence));
    Ok(())
}

fn add_from_hub(
    context: &Context,
    repo: &str,
    name: Option<&str>,
    revision: Option<&str>,
    only_plan: bool,
) -> Result<()> {
    let Context { home, json, runtime } = context;
    if only_plan {
        let plan = runtime.block_on(app::downloads::plan_model(home, repo, revision))?;
        return if *json { print::json(&plan) } else { transfer::print_plan(&plan) };
    }
    let done = transfer::follow(context, |moved| async move {
        app::downloads::add_model(home, repo, revision, name, &moved, transfer::announce, look).await
    })
    .map_err(named_by("--name"))?;
    if *json { print::json(&done) } else { print_list(&[done]) }
}

fn print_catalogue(all: &[CatalogueModel]) -> Result<()> {
    let gib = |mib: i64| format!("{:.1} GiB", mib as f64 / 1024.0);
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|model| {
            let gated = if model.gated { "ask on its page first" } else { "" };
            let weights = format!("{} M", model.millions);
            let (full, lora) = (gib(model.full_mib), gib(model.lora_mib));
            vec![
                model.repo.clone(),
                weights,
                gib(model.download_mib),
                full,
                lora,
                model.licence.clone(),
                gated.into(),
            ]
        })
        .collect();
    print::table(&["repository", "weights", "download", "memory in full", "by LoRA", "licence", ""], &rows)
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

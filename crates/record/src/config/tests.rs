#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn the_defaults_are_allowed() {
    TrainConfig::default().check().unwrap();
}

#[test]
fn a_wrong_value_is_refused_with_its_name_and_what_is_allowed() {
    let wrong = [
        ("num_train_epochs", TrainConfig { num_train_epochs: Some(0.0), ..Default::default() }),
        ("num_train_epochs", TrainConfig { num_train_epochs: Some(f64::NAN), ..Default::default() }),
        ("per_device_train_batch_size", TrainConfig { per_device_train_batch_size: 0, ..Default::default() }),
        ("max_steps", TrainConfig { max_steps: Some(0), ..Default::default() }),
        ("learning_rate", TrainConfig { learning_rate: Some(-1.0), ..Default::default() }),
        (
            "head_learning_rate_multiplier",
            TrainConfig { head_learning_rate_multiplier: 0.0, ..Default::default() },
        ),
        ("weight_decay", TrainConfig { weight_decay: f64::INFINITY, ..Default::default() }),
        ("max_length", TrainConfig { max_length: 2, ..Default::default() }),
        ("validation_fraction", TrainConfig { validation_fraction: 1.0, ..Default::default() }),
        ("sample_fraction", TrainConfig { sample_fraction: 0.0, ..Default::default() }),
        ("max_tokens_per_batch", TrainConfig { max_tokens_per_batch: Some(3), ..Default::default() }),
        ("logging_steps", TrainConfig { logging_steps: 0, ..Default::default() }),
        ("folds", TrainConfig { folds: Some(1), ..Default::default() }),
        ("folds", TrainConfig { folds: Some(101), ..Default::default() }),
        ("fold", TrainConfig { fold: Some(0), ..Default::default() }),
        ("max_steps", TrainConfig { max_steps: Some(u32::MAX), ..Default::default() }),
        ("max_length", TrainConfig { max_length: u32::MAX, ..Default::default() }),
        (
            "per_device_train_batch_size",
            TrainConfig { per_device_train_batch_size: u32::MAX, ..Default::default() },
        ),
        (
            "per_device_eval_batch_size",
            TrainConfig { per_device_eval_batch_size: Some(u32::MAX), ..Default::default() },
        ),
        (
            "gradient_accumulation_steps",
            TrainConfig { gradient_accumulation_steps: u32::MAX, ..Default::default() },
        ),
        ("max_tokens_per_batch", TrainConfig { max_tokens_per_batch: Some(u32::MAX), ..Default::default() }),
        ("tokens_per_pass", TrainConfig { tokens_per_pass: TokensPerPass::Tokens(3), ..Default::default() }),
        ("warmup_steps", TrainConfig { warmup_steps: u32::MAX, ..Default::default() }),
        ("eval_steps", TrainConfig { eval_steps: Some(u32::MAX), ..Default::default() }),
        ("save_steps", TrainConfig { save_steps: Some(u32::MAX), ..Default::default() }),
        ("logging_steps", TrainConfig { logging_steps: u32::MAX, ..Default::default() }),
        ("save_total_limit", TrainConfig { save_total_limit: u32::MAX, ..Default::default() }),
        ("early_stopping_patience", TrainConfig { early_stopping_patience: u32::MAX, ..Default::default() }),
        (
            "lora_target_modules",
            TrainConfig { lora_target_modules: vec![String::new()], ..Default::default() },
        ),
        (
            "lora_target_modules",
            TrainConfig { lora_target_modules: vec!["a\u{1b}[2J".into()], ..Default::default() },
        ),
        (
            "lora_target_modules",
            TrainConfig { lora_target_modules: vec!["a".into(); 201], ..Default::default() },
        ),
        ("warmup_ratio", TrainConfig { warmup_ratio: 1.0, ..Default::default() }),
        ("adam_beta2", TrainConfig { adam_beta2: 1.0, ..Default::default() }),
        ("adam_epsilon", TrainConfig { adam_epsilon: 0.0, ..Default::default() }),
        ("max_grad_norm", TrainConfig { max_grad_norm: -1.0, ..Default::default() }),
        ("lora_rank", TrainConfig { lora_rank: 0, ..Default::default() }),
        ("lora_rank", TrainConfig { lora_rank: 4097, ..Default::default() }),
        ("lora_alpha", TrainConfig { lora_alpha: 0.0, ..Default::default() }),
        ("lora_dropout", TrainConfig { lora_dropout: 1.0, ..Default::default() }),
        ("push_to_hub", TrainConfig { push_to_hub: Some("a/b/c".into()), ..Default::default() }),
        ("push_to_hub", TrainConfig { push_to_hub: Some("a/ b".into()), ..Default::default() }),
        ("axes", TrainConfig { axes: vec![], ..Default::default() }),
        ("axes", TrainConfig { axes: vec![Axis::JudgingPerceiving; 2], ..Default::default() }),
    ];
    for (name, config) in wrong {
        let problem = config.check().unwrap_err();
        assert_eq!(problem.code, ProblemCode::BadSetting);
        assert_eq!(problem.params["name"], name);
        assert!(!problem.params["allowed"].is_empty());
    }
}

#[test]
fn folds_go_with_no_validation_set_and_no_push_and_a_fold_is_one_of_them() {
    let config = |folds, fold| TrainConfig { folds, fold, ..TrainConfig::default() };
    for right in [config(Some(5), None), config(Some(5), Some(5))] {
        right.check_together().unwrap();
    }
    let wrong = [
        ("fold", config(None, Some(1))),
        ("fold", config(Some(5), Some(6))),
        ("folds", TrainConfig { valid: Some("v".into()), ..config(Some(5), None) }),
        ("folds", TrainConfig { valid: Some("v".into()), ..config(Some(5), Some(1)) }),
        ("folds", TrainConfig { push_to_hub: Some("a/b".into()), ..config(Some(5), None) }),
    ];
    for (name, config) in wrong {
        assert_eq!(config.check_together().unwrap_err().params["name"], name);
    }
    assert!(config(Some(5), None).is_cross_validation() && !config(Some(5), Some(1)).is_cross_validation());
    assert_eq!(config(Some(5), None).of_fold(2), config(Some(5), Some(2)));
}

#[test]
fn a_device_is_known_in_capitals_too_and_written_small() {
    for (text, device) in [("CUDA:0", "cuda:0"), ("Cuda", "cuda:0"), ("CPU", "cpu"), ("Auto", "auto")] {
        assert_eq!(text.parse::<Device>().unwrap().to_string(), device);
    }
    assert!("cuda:x".parse::<Device>().is_err() && "cuda:-1".parse::<Device>().is_err());
}

#[test]
fn a_gpu_has_one_name_and_spaces_around_it_are_not_part_of_it() {
    for name in ["cuda:0", " cuda:0", "cuda:0 ", "\tcuda:0\n", "cuda"] {
        assert_eq!(name.parse(), Ok(Device::Cuda(0)), "{name}");
    }
    assert_eq!("cuda:4294967295".parse(), Ok(Device::Cuda(u32::MAX)));
    for other in ["cuda:+0", "cuda:00", "cuda:01", "cuda: 0", "cuda:-1", "cuda:", "cuda:4294967296", "cu da"]
    {
        assert!(other.parse::<Device>().is_err(), "{other}");
    }
}

#[test]
fn few_texts_are_gone_over_more_often_and_what_is_asked_for_holds() {
    let epochs = |texts| TrainConfig::default().epochs(texts);
    assert_eq!([0, 1, 1200, 1600, 2500, 7094, 240_000].map(epochs), [4.0, 4.0, 4.0, 3.0, 2.0, 1.0, 1.0]);
    assert_eq!(TrainConfig { num_train_epochs: Some(0.5), ..Default::default() }.epochs(100), 0.5);
}

#[test]
fn a_config_survives_json() {
    let config = TrainConfig { device: Device::Cuda(1), max_steps: Some(7), ..Default::default() };
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
    assert!(text.contains("\"cuda:1\"") && text.contains("\"J-P\""));
}

#[test]
fn a_config_that_an_older_version_wrote_reads_with_the_defaults_for_what_is_new() {
    let text = r#"{"data": "posts", "valid": null, "model": "minilm", "axes": ["J-P"], "epochs": 2.0}"#;
    let config = serde_json::from_str::<TrainConfig>(text).unwrap();
    assert_eq!((config.num_train_epochs, config.trainable), (Some(2.0), Trainable::All));
    assert_eq!(config.tokens_per_pass, TokensPerPass::Auto);
    assert_eq!(config.head_learning_rate_multiplier, 1.0);
}

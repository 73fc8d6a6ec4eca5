import type { Dictionary } from "../en";

export const settings: Dictionary["settings"] = {
  data: "数据集",
  valid: "验证",
  model: "模型",
  axes: "维度",
  sample_fraction: "使用的文本比例",
  validation_fraction: "留出比例",
  split_by: "整体留出的单位",
  folds: "交叉验证的折数",
  fold: "第几折",
  max_length: "每条文本最多词元数",
  num_train_epochs: "训练轮数（epochs）",
  max_steps: "最多步数",
  per_device_train_batch_size: "每批文本数（batch size）",
  max_tokens_per_batch: "每批词元数",
  per_device_eval_batch_size: "评估时每批文本数",
  gradient_accumulation_steps: "每步累积批数",
  tokens_per_pass: "一次计算的词元数",
  learning_rate: "学习率",
  head_learning_rate_multiplier: "分类头学习率倍数",
  lr_scheduler_type: "学习率的走势",
  warmup_steps: "预热步数",
  warmup_ratio: "预热占全部步数的比例",
  optim: "优化器",
  weight_decay: "权重衰减",
  adam_beta1: "Adam 的 beta 1",
  adam_beta2: "Adam 的 beta 2",
  adam_epsilon: "Adam 的 epsilon",
  max_grad_norm: "梯度范数上限",
  class_weights: "类别权重",
  eval_steps: "每隔多少步评估",
  save_steps: "每隔多少步保存检查点",
  logging_steps: "每隔多少步记一个曲线点",
  save_total_limit: "保留的检查点数",
  load_best_model_at_end: "以最佳权重结束",
  metric_for_best_model: "以什么评判最佳",
  early_stopping_patience: "连续多少次评估无进步便结束",
  early_stopping_threshold: "多大的进步才算进步",
  seed: "随机种子",
  device: "设备",
  dtype: "精度",
  trainable: "学习哪些权重",
  quantization: "基础模型的量化",
  lora_rank: "LoRA 秩（rank）",
  lora_alpha: "LoRA 缩放系数（alpha）",
  lora_dropout: "LoRA 丢弃率（dropout）",
  lora_target_modules: "LoRA 作用于哪些层（target modules）",
  use_rslora: "秩稳定的 LoRA（rsLoRA）",
  gradient_checkpointing: "梯度检查点",
  push_to_hub: "推送到的仓库",
  hub_private_repo: "私有仓库",
};

export const setting_hints: Dictionary["setting_hints"] = {
  sample_fraction: "1 表示全部使用。更小则按各类型的比例随机抽取，便于快速尝试。",
  validation_fraction: "分数在这一部分上测得。仅在没有选择验证数据集时有效。",
  folds: "每一折训练一次，再把全部答案合在一起评判：每条文本都由没有学过其作者的模型来判断。训练次数与折数相同。作者不多时（57 位就算少），只有这样得到的数字才可靠。仅在没有选择验证数据集时有效。",
  split_by: "按单条文本划分时，同一作者的文本可能出现在两边，模型可以认出作者，分数会偏高。",
  seed: "种子相同，划分、顺序和初始权重就相同。",
  max_length: "更长的文本会被截断。越大越费内存和时间。",
  num_train_epochs: "可以是小数，例如 0.5。留空时：不超过 1,200 条文本为 4 轮，文本越多轮数越少，超过 3,000 条为 1 轮。",
  max_steps: "无论训练多少轮，到这一步就结束。",
  per_device_train_batch_size: "乘以累积批数，就是每一步学习的文本数。",
  max_tokens_per_batch: "每批装到这么多词元为止，而不是固定条数；短文本会放在一起。",
  per_device_eval_batch_size: "不影响分数，只影响内存和时间。",
  gradient_accumulation_steps: "每步之前累加这么多批：相当于大这么多倍的批，却不多占内存。",
  tokens_per_pass: "越多越快，也越占内存；学到的内容相同。“自动”在显卡上按显存能容纳的数量一次计算，在处理器上则逐批计算。",
  learning_rate: "指最高值。过高会学崩，过低则学得太慢。",
  head_learning_rate_multiplier: "分类头从零开始，要学的比下面各层多。填 1 则学习率相同；只训练分类头时不起作用。",
  lr_scheduler_type: "预热之后学习率如何变化。",
  warmup_steps: "学习率在这么多步内从 0 升起。大于 0 时取代下面的比例。",
  warmup_ratio: "0.1 表示在前十分之一内升起。选“恒定、不预热”时不起作用。",
  optim: "8 位时占用的内存是四分之一，学到的几乎一样。",
  weight_decay: "每一步把权重略微拉向 0，偏置和归一化除外。",
  adam_beta1: "梯度均值的记忆有多长。",
  adam_beta2: "梯度平方均值的记忆有多长。",
  adam_epsilon: "避免梯度极小时除法失控。",
  max_grad_norm: "超过时按比例缩小到此范数。0 表示不限制。",
  class_weights: "维度的每个字母在学习中占多大分量。“均衡”会弥补某个字母较少的情况。",
  eval_steps: "评估越多，越能找准最佳时刻，也越费时间。",
  save_steps: "断电之后，训练可以从检查点继续。",
  logging_steps: "每个点是这么多步的平均损失。",
  save_total_limit: "最佳和最新的总会保留。0 表示全部保留。",
  load_best_model_at_end: "否则使用最后一步的权重，即使它已开始死记硬背。",
  metric_for_best_model: "除损失外，均为留出文本上各维度的平均值。",
  early_stopping_patience: "连续这么多次评估没有变好就结束训练。0 表示从不提前结束。",
  early_stopping_threshold: "至少要好这么多才算进步。",
  device: "显卡更快。无法使用的设备会在训练开始前被拒绝。",
  dtype: "16 位的数值没有那么精确；求和、分类头等需要精确的部分仍用 32 位。",
  gradient_checkpointing: "这些层不保留中间结果，用到时再算一遍：内存更少，时间最多多出一半；学到的内容完全相同。“自动”会尽量保留显存容得下的部分，在处理器上则全部保留。",
  trainable: "分类头是模型最后的一小部分，把读到的内容变成字母。选择 LoRA 或仅分类头时，基础模型保持不变，所需内存更少。",
  quantization: "LoRA 训练时以更少的位数保存基础模型：内存大幅减少，精度略低，在 CPU 上会慢一些。",
  lora_rank: "小矩阵的宽度。越大能学到的越多，占用内存也越多。",
  lora_alpha: "小矩阵的输出会按 alpha 与秩之比缩放。",
  lora_dropout: "随机舍去的输入比例，用来避免死记硬背。",
  lora_target_modules: "层名称的结尾，用逗号分隔，例如 query 或 q_proj。",
  use_rslora: "改按 alpha 与秩的平方根之比缩放，适合较大的秩。",
  push_to_hub: "训练完成后推送到 Hugging Face。开始之前会先确认您有权推送。",
  hub_private_repo: "仅在需要新建仓库时有效；已有的仓库保持不变。",
};

export const when_empty: Dictionary["when_empty"] = {
  num_train_epochs: "按文本数量决定",
  folds: "不做交叉验证，只留出一部分",
  max_steps: "不限",
  max_tokens_per_batch: "固定的文本条数",
  per_device_eval_batch_size: "合计 2,048 个词元的条数",
  learning_rate: "使用模型自身的值",
  eval_steps: "全程共四次",
  save_steps: "每次评估之后",
  lora_target_modules: "所有线性层",
  push_to_hub: "不推送",
};

export const setting_groups: Dictionary["setting_groups"] = {
  data: "数据与划分",
  length: "长度与批次",
  rate: "学习率",
  optimizer: "优化器与损失",
  evaluation: "评估与检查点",
  precision: "精度与内存",
  lora: "学习范围与 LoRA",
  hub: "推送到 Hugging Face",
};

export const presets: Dictionary["presets"] = {
  tutorial: "教程",
  quick_look: "快速一试",
  best_quality: "最佳质量",
  small_memory: "节省内存",
};

export const preset_hints: Dictionary["preset_hints"] = {
  tutorial: "教程原本的设置：只学 J-P，取十分之一的文本，按文本划分。",
  quick_look: "在短文本上学一百步，看看能否学到东西。",
  best_quality: "训练 4 轮并预热，不再变好时停止。",
  small_memory: "16 位的 LoRA，每次一条文本；较慢。",
};

export const dtypes: Dictionary["dtypes"] = {
  f32: "32 位（f32）",
  bf16: "16 位（bf16）：权重和激活值的内存减半",
  bf16_mixed: "32 位，处理器支持且更快时以 16 位相乘（bf16_mixed）",
  tf32: "32 位，在显卡上以较低精度相乘（tf32）",
};

export const trainables: Dictionary["trainables"] = {
  all: "全部权重",
  lora: "LoRA：各层旁的小矩阵，以及分类头",
  head: "仅分类头",
};

export const quantizations: Dictionary["quantizations"] = {
  none: "不量化：与精度设置相同",
  nf4: "4 位（NF4，同 QLoRA）",
  int8: "8 位（int8）",
};

export const checkpointings: Dictionary["checkpointings"] = {
  auto: "自动",
  none: "全部保留",
  alternate: "每隔一层",
  all: "所有层",
};

export const tokens_per_passes: Dictionary["tokens_per_passes"] = {
  auto: "自动",
  none: "逐批计算",
  given: "指定词元数",
};

export const unusables: Dictionary["unusables"] = {
  no_engine: "未安装显卡引擎 mbti-cuda：请安装软件包 mbti-tuner-cuda",
  no_driver: "系统中没有 NVIDIA 驱动程序：请安装 580 或更新版本",
  old_driver: "其驱动程序为 {found}：请安装 {needed} 或更新版本",
  no_libraries: "找不到 CUDA 13 的 cuBLAS 和 cuRAND：请安装软件包 mbti-tuner-cuda 或 CUDA 13",
  library_missing: "mbti-cuda 需要 {library}，但没有找到：请安装软件包 mbti-tuner-cuda 或完整的 CUDA 13",
  not_executable: "{path} 没有执行权限：请重新安装软件包 mbti-tuner-cuda，或为该文件添加执行权限",
  old_card: "其计算能力为 {capability}：需要 8.0 或更高（2020 年的 Ampere 起）",
  no_card: "这台电脑中没有找到 NVIDIA 显卡",
  folder_missing: "MBTI_CUDA_LIBRARIES 中的文件夹 {folder} 不存在",
  folder_not_absolute: "MBTI_CUDA_LIBRARIES 中的 {folder} 不是绝对路径：请写成以 / 开头的路径",
  folder_lacks: "MBTI_CUDA_LIBRARIES 中的文件夹 {folder} 缺少 {library}：请改为同时含有 CUDA 13 的 cuBLAS 和 cuRAND 的同一个文件夹，或安装软件包 mbti-tuner-cuda 并取消该变量",
  folder_name: "无法从 {folder} 加载库：路径中含有冒号、分号或美元符号，请重命名或移动该文件夹",
  unsafe: "{path} 可被其他用户改动，因此没有加载：它必须属于您或 root，且不能对所有人可写",
  too_little_memory: "这次训练至少需要 {needed} 显存，而空闲显存只有 {free}",
  not_listed: "驱动程序没有列出它：请用 nvidia-smi 查看列出了哪些显卡，以及 CUDA_VISIBLE_DEVICES 是否将其隐藏",
  words_model: "词袋模型在处理器上计算",
  failed: "它无法工作：{reason}",
};

export const optims: Dictionary["optims"] = {
  adamw: "AdamW，32 位",
  adamw_8bit: "AdamW，8 位",
};

export const schedulers: Dictionary["schedulers"] = {
  linear: "线性：沿直线降到 0",
  cosine: "余弦：沿半个波形降到 0",
  constant: "恒定，不预热",
  constant_with_warmup: "预热后恒定",
};

export const split_bys: Dictionary["split_bys"] = {
  author: "作者：同一作者不会出现在两边",
  text: "单条文本",
};

export const metrics: Dictionary["metrics"] = {
  loss: "损失",
  accuracy: "准确率",
  f1: "第二个字母的 F1",
  macro_f1: "宏平均 F1",
  balanced_accuracy: "平衡准确率",
  mcc: "MCC",
  roc_auc: "AUC（曲线下面积）",
  log_loss: "对数损失",
  expected_calibration_error: "校准误差（ECE）",
};

export const metric_hints: Dictionary["metric_hints"] = {
  loss: "学习所要减小的值，计入类别权重。",
  accuracy: "答对的比例，100% 最好。",
  f1: "第二个字母的精确率与召回率合为一个数，1 最好。",
  macro_f1: "两个字母 F1 的平均值，少见的字母同样重要，1 最好。",
  balanced_accuracy: "每个字母答对比例的平均值，瞎猜为 50%。",
  mcc: "回答与真实情况的相关程度，瞎猜为 0，1 最好。",
  roc_auc: "两个字母各取一条文本，能分清哪条更像的比例，瞎猜为 0.5。",
  log_loss: "正确的字母让模型有多意外，越低越好。",
  expected_calibration_error: "概率与实际发生的频率相差多少，0 最好。",
};

export const class_weightings: Dictionary["class_weightings"] = {
  balanced: "均衡：两个字母总体上同等重要",
  none: "不加权：每条文本同等重要",
  given: "自行指定：两个数",
};

const from = { zero: "0 到 4294967295 的整数", one: "从 1 起的整数", four: "从 4 起的整数" };
const orEmpty = { one: "从 1 起的整数，或不填", four: "从 4 起的整数，或不填" };
const part = "不小于 0、小于 1 的数";
const yesOrNo = "true 或 false";

export const allowed: Dictionary["allowed"] = {
  data: "某个数据集的名称",
  valid: "另一个数据集的名称",
  model: "某个模型的名称",
  axes: "至少一个维度",
  sample_fraction: "大于 0、不超过 1 的数",
  validation_fraction: "大于 0、小于 1 的数",
  split_by: "author 或 text",
  folds: "从 2 到 100 的整数，或不填；不能与验证数据集或推送到 Hugging Face 同时使用",
  fold: "从 1 到折数的整数",
  max_length: from.four,
  num_train_epochs: "大于 0、不超过 1000 的数，或不填",
  max_steps: orEmpty.one,
  per_device_train_batch_size: from.one,
  max_tokens_per_batch: orEmpty.four,
  per_device_eval_batch_size: orEmpty.one,
  gradient_accumulation_steps: from.one,
  tokens_per_pass: "4 到 16,777,216 的整数",
  learning_rate: "大于 0、不超过 1 的数，或不填",
  head_learning_rate_multiplier: "大于 0、不超过 1000 的数",
  lr_scheduler_type: "linear、cosine、constant 或 constant_with_warmup",
  warmup_steps: from.zero,
  warmup_ratio: part,
  optim: "adamw 或 adamw_8bit",
  weight_decay: "0 到 1 的数",
  adam_beta1: part,
  adam_beta2: part,
  adam_epsilon: "大于 0、不超过 1 的数",
  max_grad_norm: "0 到 1000000 的数",
  class_weights: "两个大于 0、不超过 1000000 的数，例如 0.6,0.4",
  eval_steps: orEmpty.one,
  save_steps: orEmpty.one,
  logging_steps: from.one,
  save_total_limit: from.zero,
  load_best_model_at_end: yesOrNo,
  metric_for_best_model: "某个指标的名称，例如 loss 或 log_loss",
  early_stopping_patience: from.zero,
  early_stopping_threshold: "0 到 1000 的数",
  seed: from.zero,
  device: "auto、cpu、cuda:0、cuda:1 ……",
  dtype: "f32、bf16、bf16_mixed 或 tf32",
  trainable: "all、lora 或 head",
  quantization: "none、nf4 或 int8；除 none 外只能与 LoRA 一起使用",
  lora_rank: "从 1 到 4096 的整数",
  lora_alpha: "大于 0、不超过 10000 的数",
  lora_dropout: part,
  lora_target_modules: "模型中线性层名称的结尾，用逗号分隔，或不填",
  use_rslora: yesOrNo,
  gradient_checkpointing: "auto、none、alternate 或 all",
  push_to_hub: "仓库名，形如 user/name，或不填",
  hub_private_repo: yesOrNo,
};

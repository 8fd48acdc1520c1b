package dev.sequent.model;

import dev.sequent.mixer.ConfigReader;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Keys that any {@code config.json} of Hugging Face transformers may have and that do not change a model's numbers. */
public final class HubKeys {
    private static final Set<String> COMMON = Set.of("model_type", "architectures", "transformers_version", "torch_dtype", "dtype",
            "_name_or_path", "name_or_path", "auto_map", "_attn_implementation", "_attn_implementation_autoset", "attn_implementation",
            "use_cache", "torchscript", "gradient_checkpointing", "tokenizer_class", "prefix", "vocab_file", "bos_token_id", "eos_token_id",
            "pad_token_id", "sep_token_id", "unk_token_id", "mask_token_id", "decoder_start_token_id", "forced_bos_token_id",
            "forced_eos_token_id", "output_attentions", "output_hidden_states", "return_dict", "return_dict_in_generate", "use_return_dict",
            "output_scores", "chunk_size_feed_forward", "id2label", "label2id", "num_labels", "problem_type", "finetuning_task",
            "task_specific_params", "do_sample", "early_stopping", "max_length",
            "min_length", "max_new_tokens", "num_beams", "num_beam_groups", "num_return_sequences", "diversity_penalty", "temperature",
            "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size",
            "bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "remove_invalid_values", "exponential_decay_length_penalty",
            "tf_legacy_loss", "use_bfloat16", "tie_encoder_decoder", "cross_attention_hidden_size", "is_decoder");

    private HubKeys() {}

    /** The common keys and {@code more}, which a family ignores too. */
    public static Set<String> with(String... more) {
        Set<String> all = new TreeSet<>(COMMON);
        all.addAll(Set.of(more));
        return all;
    }

    /**
     * A reader of a decoder's configuration: carried keys are ignored, and no part of an encoder and no removed head is accepted.
     *
     * @param family its name in errors
     * @param values what {@code config.json} holds
     * @param carried keys without influence, from {@link #with}
     * @throws dev.sequent.type.ConfigException for a model that is not a plain decoder
     */
    public static ConfigReader decoder(String family, Map<String, Object> values, Set<String> carried) {
        ConfigReader r = new ConfigReader(family, values);
        r.ignore(carried);
        r.only("is_encoder_decoder", false);
        r.only("add_cross_attention", false);
        r.only("pruned_heads", Map.of());
        return r;
    }
}

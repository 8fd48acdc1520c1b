package dev.sequent.transformer.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.MlpConfig;
import dev.sequent.transformer.AttentionConfig;
import java.util.Map;
import java.util.Optional;

/** Llama (Touvron et al. 2023) and its successors with the same layers, as transformers stores them. */
public final class LlamaFamily extends LlamaFormat {
    /** For the service loader. */
    public LlamaFamily() {
        super("llama", "LlamaForCausalLM");
    }

    @Override
    int window(ConfigReader r, boolean given) {
        return 0;
    }

    @Override
    boolean attentionBias(ConfigReader r) {
        return r.flag("attention_bias", false);
    }

    @Override
    boolean mlpBias(ConfigReader r) {
        return r.flag("mlp_bias", false);
    }

    @Override
    int defaultKeyValueHeads(int heads) {
        return heads;
    }

    @Override
    Optional<String> refusal(AttentionConfig attention, MlpConfig mlp) {
        return attention.sliding_window() > 0 ? Optional.of("attention with a window") : Optional.empty();
    }

    @Override
    void writeOwn(AttentionConfig attention, MlpConfig mlp, Map<String, Object> m) {
        m.put("attention_bias", attention.attention_bias());
        m.put("mlp_bias", mlp.bias());
    }
}

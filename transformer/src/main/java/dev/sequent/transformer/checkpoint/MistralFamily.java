package dev.sequent.transformer.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.MlpConfig;
import dev.sequent.transformer.AttentionConfig;
import java.util.Map;
import java.util.Optional;

/** Mistral (Jiang et al. 2023) as transformers stores it: Llama without biases, with a window of attention. */
public final class MistralFamily extends LlamaFormat {
    /** Where the configuration has no word of it; null means none. */
    private static final int DEFAULT_WINDOW = 4096;

    /** For the service loader. */
    public MistralFamily() {
        super("mistral", "MistralForCausalLM");
    }

    @Override
    int window(ConfigReader r, boolean given) {
        return r.integer("sliding_window", given ? 0 : DEFAULT_WINDOW, 0, Integer.MAX_VALUE);
    }

    @Override
    boolean attentionBias(ConfigReader r) {
        r.only("attention_bias", false);
        return false;
    }

    @Override
    boolean mlpBias(ConfigReader r) {
        r.only("mlp_bias", false);
        return false;
    }

    @Override
    int defaultKeyValueHeads(int heads) {
        return 8;
    }

    @Override
    Optional<String> refusal(AttentionConfig attention, MlpConfig mlp) {
        return attention.attention_bias() || mlp.bias() ? Optional.of("projections with biases") : Optional.empty();
    }

    @Override
    void writeOwn(AttentionConfig attention, MlpConfig mlp, Map<String, Object> m) {
        m.put("sliding_window", attention.sliding_window() == 0 ? null : (Object) attention.sliding_window());
    }
}

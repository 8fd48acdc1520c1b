package dev.sequent.examples;

import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import dev.sequent.ssm.s4.S4dConfig;
import dev.sequent.transformer.AttentionConfig;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** The models that {@link Train} knows: what stands at each layer. Everything else about them is the same. */
enum ModelKind {
    /** Selective state-space layers only (Mamba-1). */
    MAMBA("M"),
    /** State-space layers with heads only (Mamba-2). */
    MAMBA2("D"),
    /** Time-invariant diagonal state-space layers only. */
    S4D("S"),
    /** Causal attention with rotary positions only. */
    TRANSFORMER("A"),
    /** Mostly state-space layers, and some attention. */
    HYBRID("MMA");

    private final String period;

    ModelKind(String period) {
        this.period = period;
    }

    /** The name on the command line and of the directory. */
    String label() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }

    /** The kind called {@code label}. */
    static Optional<ModelKind> of(String label) {
        return Arrays.stream(values()).filter(k -> k.label().equals(label)).findFirst();
    }

    /** All names. */
    static String labels() {
        return Arrays.stream(values()).map(ModelKind::label).collect(Collectors.joining(", "));
    }

    /** The layers as letters. */
    String pattern(Sizes sizes) {
        if (this == HYBRID && sizes.pattern() != null) {
            return sizes.pattern();
        }
        return period.repeat(sizes.layers() / period.length() + 1).substring(0, sizes.layers());
    }

    /** The model as data, for a vocabulary of V ids. */
    LanguageModelConfig config(Sizes sizes, int vocabulary) {
        List<LayerSpec> layers = LayerPattern.parse(pattern(sizes), letters(sizes));
        return LanguageModelConfig.of(vocabulary, sizes.width(), layers).withDropout(sizes.dropout());
    }

    private static Map<Character, LayerSpec> letters(Sizes sizes) {
        MlpConfig mlp = MlpConfig.gated(sizes.width() * 8 / 3);
        int headWidth = Math.min(64, Integer.lowestOneBit(2 * sizes.width()));
        return Map.of(
                'M', LayerSpec.of(MambaConfig.defaults().withStates(sizes.stateSize())),
                'D', LayerSpec.of(Mamba2Config.defaults().withStates(sizes.stateSize()).withHeads(headWidth, 1)),
                'S', new LayerSpec(S4dConfig.defaults().withStateSize(sizes.stateSize() + sizes.stateSize() % 2), mlp),
                'A', new LayerSpec(AttentionConfig.of(sizes.heads()), mlp));
    }
}

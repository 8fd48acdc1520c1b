package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.HubKeys;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.ssm.mamba2.Mamba2Config;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Mamba-2 as Hugging Face transformers stores it. transformers normalises the gated output over all channels together, the authors'
 * implementation per group: a model with several groups that was loaded here computes what transformers does. {@code residual_in_fp32}
 * changes nothing for F32 parameters; with BF16 parameters this library adds residuals in BF16. Source: transformers modeling_mamba2.py,
 * configuration_mamba2.py.
 */
public final class Mamba2Family extends MambaFormat<Mamba2Config> {
    /** For the service loader. */
    public Mamba2Family() {
        super("mamba2", "Mamba2ForCausalLM", HubKeys.with("residual_in_fp32", "time_step_rank", "norm_before_gate"),
                List.of("state_size", "num_heads", "head_dim", "n_groups", "conv_kernel", "chunk_size", "expand", "intermediate_size",
                        "time_step_min", "time_step_max", "time_step_floor", "time_step_limit", "use_bias", "use_conv_bias",
                        "rescale_prenorm_residual"),
                false);
    }

    @Override
    Map<String, Object> ownOptions(ConfigReader r, double eps) {
        r.only("rms_norm", true);
        requirePositive(r, "num_heads", "intermediate_size");
        return Map.of("num_heads", 128, "n_groups", 8, "layer_norm_epsilon", eps, "norm_per_group", false);
    }

    @Override
    Mamba2Config mixer(Map<String, Object> options) {
        return Mamba2Config.parse(options);
    }

    @Override
    int expand(Mamba2Config mixer) {
        return mixer.expand();
    }

    @Override
    int namedInner(Mamba2Config mixer) {
        return mixer.intermediate_size();
    }

    @Override
    void checkWidth(Mamba2Config mixer, int width) {
        mixer.heads(width);
    }

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        Optional<String> reason = refusal(config, Mamba2Config.class);
        if (reason.isPresent()) {
            return reason;
        }
        Mamba2Config mixer = (Mamba2Config) config.layers().getFirst().mixer();
        if (!mixer.rms_norm() || mixer.n_groups() > 1 && mixer.norm_per_group()) {
            return Optional.of("outputs that are not normalised, or normalised per group");
        }
        if (mixer.layer_norm_epsilon() != config.norm_eps()) {
            return Optional.of("different epsilons of the norms of layers and of outputs");
        }
        return mixer.inner(config.hidden_size()) == (long) mixer.expand() * config.hidden_size() ? Optional.empty()
                : Optional.of("an inner width that is not a multiple of the model's");
    }

    @Override
    void writeOwn(Mamba2Config mixer, int width, Map<String, Object> m) {
        m.remove("intermediate_size");
        m.put("num_heads", mixer.heads(width));
        m.put("rms_norm", true);
    }
}

package dev.sequent.ssm.checkpoint;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.model.HubKeys;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.ssm.mamba.MambaConfig;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Mamba-1 as Hugging Face transformers stores it. {@code residual_in_fp32} changes nothing for F32 parameters; with BF16 parameters this
 * library adds residuals in BF16. Source: transformers modeling_mamba.py, configuration_mamba.py.
 */
public final class MambaFamily extends MambaFormat<MambaConfig> {
    /** For the service loader. */
    public MambaFamily() {
        super("mamba", "MambaForCausalLM", HubKeys.with("residual_in_fp32", "use_mambapy", "use_associative_scan"),
                List.of("state_size", "conv_kernel", "expand", "intermediate_size", "time_step_rank", "time_step_scale", "time_step_min",
                        "time_step_max", "time_step_floor", "time_step_init_scheme", "use_bias", "use_conv_bias",
                        "rescale_prenorm_residual"),
                true);
    }

    @Override
    Map<String, Object> ownOptions(ConfigReader r, double eps) {
        requirePositive(r, "intermediate_size", "auto".equals(r.raw("time_step_rank")) ? "state_size" : "time_step_rank");
        return Map.of();
    }

    @Override
    MambaConfig mixer(Map<String, Object> options) {
        return MambaConfig.parse(options);
    }

    @Override
    int expand(MambaConfig mixer) {
        return mixer.expand();
    }

    @Override
    int namedInner(MambaConfig mixer) {
        return mixer.intermediate_size();
    }

    /** Mamba-1 fits any width. */
    @Override
    void checkWidth(MambaConfig mixer, int width) {}

    @Override
    public Optional<String> refusal(LanguageModelConfig config) {
        return refusal(config, MambaConfig.class);
    }

    @Override
    void writeOwn(MambaConfig mixer, int width, Map<String, Object> m) {
        m.put("intermediate_size", mixer.inner(width));
        m.put("time_step_rank", mixer.rank(width));
    }
}

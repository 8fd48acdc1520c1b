package dev.sequent.model;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.nn.FeedForward;
import dev.sequent.nn.GatedMlp;
import dev.sequent.nn.Init;
import dev.sequent.nn.MixtureOfExperts;
import dev.sequent.nn.Mlp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The feed-forward half of a block: one MLP, or a mixture of several.
 *
 * @param type {@code gated} (SwiGLU), {@code gelu} or {@code gelu_tanh}
 * @param intermediate_size F, the inner width
 * @param bias whether projections have a bias
 * @param num_experts E, gated MLPs of a {@link MixtureOfExperts}, or 0 for a single MLP without a router
 * @param num_experts_per_tok how many of them a token takes; 0 without experts
 * @param norm_topk_prob whether the weights of a token's experts are divided by their sum
 * @param router_aux_loss_coef factor of the load-balancing loss in training, which {@link dev.sequent.nn.LoadBalancing} defines; 0 for none
 */
public record MlpConfig(String type, int intermediate_size, boolean bias, int num_experts, int num_experts_per_tok, boolean norm_topk_prob,
        double router_aux_loss_coef) {
    /** Checks the values. */
    public MlpConfig {
        if (!type.equals("gated") && !type.equals("gelu") && !type.equals("gelu_tanh")) {
            throw new ConfigException("mlp", "a type among gated, gelu, gelu_tanh", "'" + type + "'");
        }
        if (intermediate_size < 1) {
            throw new ConfigException("mlp", "intermediate_size >= 1", intermediate_size + "");
        }
        if (num_experts < 0 || num_experts_per_tok > num_experts || num_experts_per_tok < Math.min(num_experts, 1)) {
            throw new ConfigException("mlp", "num_experts >= 1 with 1 <= num_experts_per_tok <= num_experts, or 0 and 0",
                    num_experts + " and " + num_experts_per_tok);
        }
        if (num_experts > 0 && !type.equals("gated")) {
            throw new ConfigException("mlp", "experts of type gated", "'" + type + "'");
        }
        if (!(router_aux_loss_coef >= 0 && router_aux_loss_coef < Double.POSITIVE_INFINITY) || num_experts == 0
                && (norm_topk_prob || router_aux_loss_coef > 0)) {
            throw new ConfigException("mlp", "a finite router_aux_loss_coef >= 0, and without experts neither that nor norm_topk_prob",
                    router_aux_loss_coef + " and " + norm_topk_prob + " for " + num_experts + " experts");
        }
    }

    /** One MLP. */
    public MlpConfig(String type, int intermediateSize, boolean bias) {
        this(type, intermediateSize, bias, 0, 0, false, 0);
    }

    /** SwiGLU without biases. */
    public static MlpConfig gated(int intermediateSize) {
        return new MlpConfig("gated", intermediateSize, false);
    }

    /**
     * A mixture of {@code experts} SwiGLU layers without biases, of which each token takes {@code perToken}; weights are not renormalised,
     * as in Jamba.
     */
    public static MlpConfig mixture(int intermediateSize, int experts, int perToken) {
        return new MlpConfig("gated", intermediateSize, false, experts, perToken, false, 0);
    }

    static MlpConfig parse(Map<String, Object> values) {
        ConfigReader r = new ConfigReader("mlp", values);
        MlpConfig c = new MlpConfig(r.text("type", "gated"), r.integer("intermediate_size", 0), r.flag("bias", false),
                r.integer("num_experts", 0), r.integer("num_experts_per_tok", 0), r.flag("norm_topk_prob", false),
                r.number("router_aux_loss_coef", 0));
        r.done();
        return c;
    }

    Map<String, Object> toMap() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("type", type);
        m.put("intermediate_size", intermediate_size);
        m.put("bias", bias);
        if (num_experts > 0) {
            m.put("num_experts", num_experts);
            m.put("num_experts_per_tok", num_experts_per_tok);
            m.put("norm_topk_prob", norm_topk_prob);
            m.put("router_aux_loss_coef", router_aux_loss_coef);
        }
        return m;
    }

    FeedForward create(int width, double std, double outStd, Init init) {
        if (num_experts > 0) {
            return new MixtureOfExperts(init, width, intermediate_size, num_experts, num_experts_per_tok, norm_topk_prob, bias, std,
                    outStd);
        }
        return switch (type) {
            case "gated" -> new GatedMlp(init, width, intermediate_size, bias, std, outStd);
            case "gelu" -> new Mlp(init, width, intermediate_size, bias, UnaryOp.GELU, std, outStd);
            default -> new Mlp(init, width, intermediate_size, bias, UnaryOp.GELU_TANH, std, outStd);
        };
    }

    /** Parameters that one token leaves unread: those of the experts that it does not take. */
    long unread(int width) {
        long one = 3L * width * intermediate_size + (bias ? 2L * intermediate_size + width : 0);
        return one * (num_experts - num_experts_per_tok);
    }
}

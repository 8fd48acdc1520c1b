package dev.sequent.model;

import dev.sequent.mixer.ConfigReader;
import dev.sequent.nn.FeedForward;
import dev.sequent.nn.GatedMlp;
import dev.sequent.nn.Init;
import dev.sequent.nn.Mlp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.ConfigException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The feed-forward half of a block.
 *
 * @param type {@code gated} (SwiGLU), {@code gelu} or {@code gelu_tanh}
 * @param intermediate_size F, the inner width
 * @param bias whether projections have a bias
 */
public record MlpConfig(String type, int intermediate_size, boolean bias) {
    /** Checks the values. */
    public MlpConfig {
        if (!type.equals("gated") && !type.equals("gelu") && !type.equals("gelu_tanh")) {
            throw new ConfigException("mlp", "a type among gated, gelu, gelu_tanh", "'" + type + "'");
        }
        if (intermediate_size < 1) {
            throw new ConfigException("mlp", "intermediate_size >= 1", intermediate_size + "");
        }
    }

    /** SwiGLU without biases. */
    public static MlpConfig gated(int intermediateSize) {
        return new MlpConfig("gated", intermediateSize, false);
    }

    static MlpConfig parse(Map<String, Object> values) {
        ConfigReader r = new ConfigReader("mlp", values);
        MlpConfig c = new MlpConfig(r.text("type", "gated"), r.integer("intermediate_size", 0), r.flag("bias", false));
        r.done();
        return c;
    }

    Map<String, Object> toMap() {
        Map<String, Object> m = new LinkedHashMap<>();
        m.put("type", type);
        m.put("intermediate_size", intermediate_size);
        m.put("bias", bias);
        return m;
    }

    FeedForward create(int width, double std, double outStd, Init init) {
        return switch (type) {
            case "gated" -> new GatedMlp(init, width, intermediate_size, bias, std, outStd);
            case "gelu" -> new Mlp(init, width, intermediate_size, bias, UnaryOp.GELU, std, outStd);
            default -> new Mlp(init, width, intermediate_size, bias, UnaryOp.GELU_TANH, std, outStd);
        };
    }

    /** Multiply-adds count two: operations per token. */
    double flops(int width) {
        return 2.0 * width * intermediate_size * (type.equals("gated") ? 3 : 2);
    }
}

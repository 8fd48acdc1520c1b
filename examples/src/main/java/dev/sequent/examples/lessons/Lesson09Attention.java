package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.mixer.MixerConfig;
import dev.sequent.mixer.MixerState;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.SequenceMixer;
import dev.sequent.mixer.StateSpec;
import dev.sequent.nn.Init;
import dev.sequent.op.CompareOp;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Rng;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.DType;
import java.util.Arrays;
import java.util.Locale;

/**
 * Attention forgets nothing: it keeps a key and a value of every token, and each new token looks up, by content, what it needs. The price
 * is a state that grows with every token, and work that grows with its square.
 */
public final class Lesson09Attention {
    private Lesson09Attention() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest(); Scope _ = Scope.open()) {
            lookup(device);
            noLookingAhead(device);
            stepByStep(device);
            whatItCosts(device);
        }
    }

    /**
     * A soft dictionary: the query is compared with all keys, softmax turns the scores into shares, and the values are mixed accordingly.
     */
    private static void lookup(Device device) {
        Tensor keys = Tensor.of(device, new float[] {1, 0, 0, 0, 1, 0, 0, 0, 1}, 3, 3);             // (T, P): red, green, blue
        Tensor values = Tensor.of(device, new float[] {10, 20, 30}, 3, 1);                          // (T, 1)
        // (1, P): who asks for green, and how firmly
        Tensor green = Tensor.of(device, new float[] {0, 8, 0}, 1, 3);
        Tensor shares = green.matmul(keys, false, true).softmax(-1);                                // (1, P) (P, T) -> (1, T)
        say("shares of red, green, blue: %s", show(shares));
        say("looked up: %.1f", shares.matmul(values).item());
        Tensor hesitant = green.div(8);
        say("asked less firmly: shares %s, looked up %.1f", show(hesitant.matmul(keys, false, true).softmax(-1)),
                hesitant.matmul(keys, false, true).softmax(-1).matmul(values).item());
    }

    /**
     * A model that predicts the next token must not see it. The mask is not a detail: without it, training reaches a loss of zero and
     * learns nothing.
     */
    private static void noLookingAhead(Device device) {
        int T = 4;
        Tensor x = new Rng(1).normal(device, DType.F32, 0, 1, T, 3);                                   // (T, P)
        Tensor other = Tensor.concat(0, x.slice(0, 0, T - 1), x.slice(0, T - 1, T).mul(-3));            // another last token
        Tensor without = attend(device, x, false).sub(attend(device, other, false)).slice(0, 0, T - 1);
        Tensor with = attend(device, x, true).sub(attend(device, other, true)).slice(0, 0, T - 1);
        say("wrong: without a mask, another last token changes earlier outputs: %s", without.abs().max().item() > 1e-3);
        say("right: with the mask it changes them by exactly %.0f", with.abs().max().item());
    }

    private static Tensor attend(Device device, Tensor x, boolean causal) {
        long T = x.dim(0);
        Tensor scores = x.matmul(x, false, true).div(Math.sqrt(x.dim(1)));                          // (T, T)
        if (causal) {
            Tensor time = Tensor.arange(device, T);
            Tensor past = time.unsqueeze(1).sub(time.unsqueeze(0)).compare(CompareOp.GE, 0);        // (T, T): row t may see column s <= t
            scores = past.where(scores, Tensor.full(device, DType.F32, -1e30));
        }
        return scores.softmax(-1).matmul(x);                                                        // (T, P)
    }

    /**
     * The layer does all of this for several heads, with rotary positions. One token at a time it looks into its cache of keys and values.
     */
    private static void stepByStep(Device device) {
        int T = 12;
        try (var layer = AttentionConfig.of(2).create(8, 1, new Init(device, 1))) {
            Tensor x = new Rng(3).normal(device, DType.F32, 0, 1, 1, T, 8);                            // (1, T, D)
            Tensor parallel = layer.forward(x, SequenceInfo.of(x));                                 // (1, T, D)
            try (var cache = layer.newState(new StateSpec(1, T, DType.F32, device))) {
                Tensor[] y = new Tensor[T];
                y[0] = layer.prefill(x.slice(1, 0, 5), cache);                                      // five tokens at once,
                for (int t = 5; t < T; t++) {
                    y[t - 4] = layer.step(x.slice(1, t, t + 1), cache);                             // then one by one
                }
                double difference = parallel.sub(Tensor.concat(1, Arrays.copyOf(y, T - 4))).abs().max().item();
                say("whole sequence and cache differ by at most %.0e", difference);
            }
        }
    }

    /** What is remembered of a sequence by one layer of width 256. */
    private static void whatItCosts(Device device) {
        say("state of one layer, width 256:  at 1k tokens   at 32k tokens   at 1M tokens");
        row(device, "attention, 4 heads", AttentionConfig.of(4));
        row(device, "attention, 1 key head", AttentionConfig.of(4).withKeyValueHeads(1));
        row(device, "Mamba, 16 states", MambaConfig.defaults());
    }

    private static void row(Device device, String name, MixerConfig config) {
        try (SequenceMixer<? extends MixerState> layer = config.create(256, 1, new Init(device, 1))) {
            var cost = layer.cost(new StateSpec(1, 1, DType.F32, device));
            say("%-28s %12d kB %12d kB %12d kB", name, cost.bytesAt(1 << 10) / 1024, cost.bytesAt(1 << 15) / 1024,
                    cost.bytesAt(1 << 20) / 1024);
        }
    }

    private static String show(Tensor t) {
        StringBuilder text = new StringBuilder();
        for (float v : t.toFloats()) {
            text.append(String.format(Locale.ROOT, " %.3f", v));
        }
        return text.toString().strip();
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=09
    //
    // You should see 20.0 looked up, all but exactly; that without a mask the future changes the past, and with it not at all; a difference
    // of 1e-06 or less between the whole sequence and the cache; and 2048 kB at 1k tokens that become 2 GB at 1M, beside Mamba's 38 kB at
    // any length.
}

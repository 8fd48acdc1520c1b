package dev.sequent.benchmarks;

import dev.sequent.autograd.Autograd;
import dev.sequent.mixer.Mixers;
import dev.sequent.mixer.SequenceInfo;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.ModelState;
import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Reads one long document with a recurrent model, in chunks, and prints after every 65,536 tokens how fast they went and how much native
 * memory there was at most: the last line of a million tokens is to look like the first.
 *
 * <p>Arguments: the kind of mixer (mamba), tokens (1048576), width (256), layers (4), tokens of a chunk (2048), backend (cpu).
 */
public final class LongDocument {
    private static final int REPORT = 65_536;
    private static final int VOCABULARY = 256;

    private LongDocument() {}

    /** Runs the program. */
    public static void main(String[] args) {
        String mixer = args.length > 0 ? args[0] : "mamba";
        int tokens = number(args, 1, 1 << 20);
        int width = number(args, 2, 256);
        int layers = number(args, 3, 4);
        int chunk = number(args, 4, PrefillBenchmark.CHUNK);
        LayerSpec layer = LayerSpec.of(Mixers.parse(mixer, Map.of()));
        LanguageModelConfig config = LanguageModelConfig.of(VOCABULARY, width, LayerPattern.repeat(layers, layer));
        try (Device device = Device.open(args.length > 5 ? args[5] : "cpu");
                LanguageModel model = new LanguageModel(config, new Init(device, 1));
                ModelState state = model.newState(new StateSpec(1, tokens, DType.F32, device))) {
            System.out.printf("%s, width %d, %d layers, %d parameters, chunks of %d tokens on %s%n", mixer, width, layers,
                    model.parameterCount(), chunk, device);
            read(model, state, tokens, chunk);
        }
    }

    private static int number(String[] args, int index, int otherwise) {
        if (args.length > index && !args[index].matches("[1-9][0-9]{0,8}")) {
            throw new ConfigException("long document", "a number of at least 1 as argument " + (index + 1), "'" + args[index] + "'");
        }
        return args.length > index ? Integer.parseInt(args[index]) : otherwise;
    }

    private static void read(LanguageModel model, ModelState state, int tokens, int chunk) {
        SplittableRandom random = new SplittableRandom(1);
        long start = System.nanoTime();
        int reported = 0;
        for (int from = 0; from < tokens;) {
            int count = Math.min(chunk, tokens - from);
            int[] ids = random.ints(count, 0, VOCABULARY).toArray();
            Autograd.noGrad(() -> {
                try (Scope _ = Scope.open()) {
                    Tensor logits = model.prefill(model.ids(ids, 1, count), SequenceInfo.of(1, count), state);
                    return logits.toFloats()[0];
                }
            });
            int before = from;
            from += count;
            if (from / REPORT > before / REPORT || from == tokens) {
                double seconds = (System.nanoTime() - start) * 1e-9;
                System.out.printf("%8d tokens  %8.0f tokens/s  peak %.2f MB  state %.2f MB%n", from, (from - reported) / seconds,
                        model.device().memory().peakBytes() * 1e-6, state.bytes() * 1e-6);
                reported = from;
                start = System.nanoTime();
            }
        }
    }
}

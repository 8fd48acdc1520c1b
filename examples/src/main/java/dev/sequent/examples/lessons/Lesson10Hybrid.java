package dev.sequent.examples.lessons;

import static dev.sequent.examples.lessons.Lessons.say;

import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.CharTokenizer;
import dev.sequent.mixer.StateCost;
import dev.sequent.mixer.StateSpec;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.LanguageModelConfig;
import dev.sequent.model.LayerPattern;
import dev.sequent.model.LayerSpec;
import dev.sequent.model.MlpConfig;
import dev.sequent.nn.Init;
import dev.sequent.ssm.mamba.MambaConfig;
import dev.sequent.tensor.Device;
import dev.sequent.train.AdamW;
import dev.sequent.train.LrSchedule;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.RandomWindows;
import dev.sequent.train.data.TokenDataset;
import dev.sequent.transformer.AttentionConfig;
import dev.sequent.type.ConfigException;
import dev.sequent.type.DType;
import java.util.Map;

/**
 * State-space layers compress the past into a small state; attention looks it up exactly but keeps all of it. A hybrid has many of the
 * first and few of the second. Here that is a string.
 */
public final class Lesson10Hybrid {
    private static final String TEXT = """
            Row, row, row your boat, gently down the stream,
            merrily, merrily, merrily, merrily, life is but a dream.
            """.repeat(20);
    private static final int WIDTH = 32;
    private static final int STEPS = 80;

    private Lesson10Hybrid() {}

    /** Runs the lesson. */
    public static void run() {
        try (Device device = Device.openBest()) {
            CharTokenizer tokenizer = CharTokenizer.of(TEXT);
            for (String pattern : new String[] {"MMM", "AAA", "MMA"}) {
                trainAndGenerate(device, tokenizer, pattern);
            }
            longerPatterns();
        }
    }

    /**
     * M is a Mamba layer, A is attention with a feed-forward part. Any letters, any mixers: the model asks nothing of them but to be a
     * SequenceMixer.
     */
    private static Map<Character, LayerSpec> letters() {
        return Map.of(
                'M', LayerSpec.of(MambaConfig.defaults().withStates(4)),
                'A', new LayerSpec(AttentionConfig.of(4), MlpConfig.gated(2 * WIDTH)));
    }

    private static void trainAndGenerate(Device device, CharTokenizer tokenizer, String pattern) {
        LanguageModelConfig config = LanguageModelConfig.of(tokenizer.vocabularySize(), WIDTH, LayerPattern.parse(pattern, letters()));
        try (LanguageModel model = new LanguageModel(config, new Init(device, 1)); AdamW optimizer =
                new AdamW(model.namedParameters(), AdamW.Settings.defaults())) {
            TokenDataset tokens = TokenDataset.of(tokenizer, TEXT);
            double[] loss = new double[1];
            new Trainer(model, optimizer, LrSchedule.warmupCosine(1e-2, 1e-3, 5, STEPS), new RandomWindows(tokens, 4, 24, 1),
                    Trainer.Settings.of(STEPS, 1))
                    .listen(new TrainListener() {
                        @Override
                        public void step(Step s) {
                            loss[0] = s.loss();
                        }
                    })
                    .run();
            StateCost state = model.cost(new StateSpec(1, 1, DType.F32, device));
            say("%s: %d parameters, loss %.2f after %d steps, state of %d kB at 1k tokens and %d kB at 1M", pattern,
                    model.parameterCount(), loss[0], STEPS, state.bytesAt(1 << 10) / 1024, state.bytesAt(1 << 20) / 1024);
            // The same generator for all: every mixer has a state, whatever is inside.
            say("     Row, row,%s", new Generator(model).text(tokenizer, "Row, row,", 38, Sampling.greedy(), _ -> { }));
        }
    }

    /** Patterns of real models are long, and have a grammar. Jamba has one attention layer in eight. */
    private static void longerPatterns() {
        int attention = 0;
        for (LayerSpec layer : LayerPattern.parse("(M4AM3)4", letters())) {
            attention += layer.mixer().type().equals(AttentionConfig.TYPE) ? 1 : 0;
        }
        say("(M4AM3)4 has %d layers, %d of them attention", LayerPattern.parse("(M4AM3)4", letters()).size(), attention);
        try {
            LayerPattern.parse("MMX", letters());
        } catch (ConfigException e) {
            say("wrong: %s", e.getMessage());
        }
    }

    // HOW TO RUN
    //
    //     mvn -q -Plessons process-classes -Dlesson=10
    //
    // You should see three models from one program, all with a loss well below 1, and how each goes on with the song; the state of the
    // first does not grow, that of the second becomes 768 MB, and that of the hybrid a third of it. To train such models on a novel: mvn -q
    // -Ptrain process-classes.
}

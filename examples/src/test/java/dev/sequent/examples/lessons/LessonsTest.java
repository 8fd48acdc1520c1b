package dev.sequent.examples.lessons;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.examples.Captured;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LessonsTest {
    private static final Map<Integer, String> OUTPUTS = new ConcurrentHashMap<>();

    /** What each lesson must print; its last comment promises this to the reader. */
    private static final Map<Integer, List<String>> PROMISES = Map.ofEntries(
            Map.entry(1, List.of("10 x + x = [11.0, 22.0, 33.0, 44.0, 55.0, 66.0]",
                    "x        = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]",
                    "x + row    = [101.0, 202.0, 303.0, 104.0, 205.0, 306.0]",
                    "x + column = [1001.0, 1002.0, 1003.0, 2004.0, 2005.0, 2006.0]",
                    "wrong: [mul] expected operands of one dtype, given F32 and I32",
                    "x * counts = [1.0, 0.0, 6.0, 4.0, 0.0, 12.0]",
                    "the first three come again: true")),
            Map.entry(2, List.of("wrong: head 0 = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]",
                    "right: head 0 = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]",
                    "back again: true",
                    "= [15.0, 75.0]",
                    "wrong: [mul] expected shapes that broadcast, given (1, 2, 6) and (2)",
                    "right: [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 20.0, 22.0, 24.0, 26.0, 28.0, 30.0]",
                    "expect: [x] expected shape (any, 3, 6), given (1, 2, 6)")),
            Map.entry(3, List.of("is 14, df/dx = 2 x = [2.0, 4.0, 6.0]",
                    "computed outside the body:  dx^2/dx at 3 = 0.0",
                    "through detach():           dx^2/dx at 3 = 0.0",
                    "through a Java double:      dx^2/dx at 3 = 0.0",
                    "right:                      dx^2/dx at 3 = 6.0",
                    "fitted y = 2.000 x + -1.000",
                    "first derivative 27, second 18")),
            Map.entry(4, List.of("<- WRONG, and training would still run")),
            Map.entry(5, List.of("right: a scope in every step holds 0 more tensors (mean 3)",
                    "two results let out of their scopes: 2 more tensors, mean 3 and 3",
                    "of shape (64, 64) that has been released",
                    "training: 2 tensors during a step (loss and gradient), 0 after 100 steps",
                    "after the outermost scope: 0 more than at the start")),
            Map.entry(6, List.of("loop        0.50000  0.40000  0.32000  1.25600  0.50480  0.40384",
                    "convolution 0.50000  0.40000  0.32000  1.25600  0.50480  0.40384",
                    "matrix      0.50000  0.40000  0.32000  1.25600  0.50480  0.40384",
                    "state carried over:          0.50480  0.40384",
                    "state forgotten (WRONG):     -0.50000 -0.40000",
                    "a = 0.999: an input has faded to 1/e after  999.5 steps")),
            Map.entry(7, List.of("one real state            1.00  0.96  0.92  0.89  0.85  0.82  0.79",
                    "eight complex states      0.00  0.00  0.00  0.00  0.85  0.00  0.00",
                    "the state has 256 bytes after 32 tokens")),
            Map.entry(8, List.of("equal step sizes, y       3.00  2.10  4.77  2.76  6.01 11.21",
                    "step size 10 at the 4, y  0.00  0.00  4.00  4.00  4.00  4.00")),
            Map.entry(9, List.of("looked up: 20.0",
                    "without a mask, another last token changes earlier outputs: true",
                    "with the mask it changes them by exactly 0",
                    "attention, 4 heads                   2048 kB        65536 kB      2097152 kB",
                    "attention, 1 key head                 512 kB        16384 kB       524288 kB",
                    "Mamba, 16 states                       38 kB           38 kB           38 kB")),
            Map.entry(10, List.of("(M4AM3)4 has 32 layers, 4 of them attention",
                    "wrong: [layer pattern] expected letters among [A, M]")),
            Map.entry(11, List.of("by hand: 96 bytes, the first eight are 40 00 00 00 00 00 00 00, a header of 64 bytes",
                    "read back: greeting F32 (2, 3), 24 bytes, its last number is 9.0",
                    "a model is saved as [config.json, model.safetensors]",
                    "  lm_head.weight                     F32 (5, 8)    160 bytes",
                    "described: 648 parameters in 2.5 KiB",
                    "model.layers.0.self_attn.q_proj.weight",
                    "the index: \"norm_f.weight\": \"model-00003-of-00003.safetensors\"",
                    "loaded from the pieces, it computes the same: true",
                    "lm_head.weight[3, 0] is 9 now; logits 0 to 4: same same same CHANGED same",
                    "refused, a byte is missing: [model.safetensors] expected",
                    "refused, the header claims a terabyte: [model.safetensors] expected",
                    "refused, a name is misspelt: [checkpoint] expected")));

    static Stream<Integer> numbers() {
        return Lessons.all().keySet().stream();
    }

    @ParameterizedTest(name = "lesson {0}")
    @MethodSource("numbers")
    void printsWhatItPromises(int number) {
        String output = output(number);
        assertThat(output).doesNotContain("NaN").contains(PROMISES.get(number));
    }

    @Test
    void gradientCheckSeparatesRoundingFromAMistake() {
        String output = output(4);
        assertThat(numberAfter(output, "F64, h = 1e-5:")).isLessThan(1e-9);
        assertThat(numberAfter(output, "F64, h = 1e-1:")).isBetween(1e-5, 1e-2);
        assertThat(numberAfter(output, "F64, h = 1e-13:")).isBetween(1e-6, 1e-1);
        assertThat(numberAfter(output, "F32, h = 1e-3:")).isBetween(1e-7, 1e-2);
        assertThat(numberAfter(output, "a term forgotten:")).isGreaterThan(0.1);
        assertThat(numberAfter(output, "by hand, corrected:")).isLessThan(1e-9);
    }

    @Test
    void stateSpaceLayerNeedsFittingStepSizes() {
        String output = output(7);
        assertThat(numberAfter(output, "single tokens differ by at most")).isLessThan(1e-5);
        assertThat(numberAfter(output, "all step sizes 5:            error")).isGreaterThan(0.8);
        assertThat(numberAfter(output, "step sizes 0.001 to 0.1:     error")).isLessThan(0.5);
    }

    @Test
    void selectionLearnsWhatTimeInvarianceCannot() {
        String output = output(8);
        assertThat(numberAfter(output, "in two pieces differ by at most")).isLessThan(1e-5);
        assertThat(numberAfter(output, "the same for all tokens:  error")).isGreaterThan(0.4);
        assertThat(numberAfter(output, "which selects:          error")).isLessThan(0.3);
    }

    @Test
    void attentionLooksUpAndItsCacheAgrees() {
        assertThat(numberAfter(output(9), "whole sequence and cache differ by at most")).isLessThan(1e-5);
    }

    @Test
    void everyPatternLearnsTheSong() {
        String output = output(10);
        for (String pattern : List.of("MMM", "AAA", "MMA")) {
            String line = output.lines().filter(l -> l.startsWith(pattern + ": ")).findFirst().orElseThrow();
            assertThat(numberAfter(line, "loss")).isLessThan(1);
        }
        assertThat(output.lines().filter(l -> l.startsWith("     Row, row, row your boat"))).hasSize(3);
    }

    @Test
    void wrongLoopHoldsMoreThanOneTensorAStep() {
        assertThat(numberAfter(output(5), "wrong: one scope around 100 steps holds")).isGreaterThan(100);
    }

    @Test
    void withoutANumberAllLessonsAreListed() {
        String list = capture(() -> Lessons.main(new String[0]));
        assertThat(list.lines().filter(l -> l.matches("  \\d\\d  .*"))).hasSize(Lessons.all().size());
    }

    /** Every lesson runs once, whichever test asks for it first. */
    private static String output(int number) {
        return OUTPUTS.computeIfAbsent(number, n -> capture(() -> Lessons.main(new String[] {String.format("%02d", n)})));
    }

    private static String capture(Runnable program) {
        return Captured.of(() -> {
            program.run();
            return 0;
        }).out();
    }

    /** The first number after {@code label} on its line. */
    private static double numberAfter(String output, String label) {
        String line = output.lines().filter(l -> l.contains(label)).findFirst()
                .orElseThrow(() -> new AssertionError(label + " is missing in\n" + output));
        String rest = line.substring(line.indexOf(label) + label.length()).strip();
        return Double.parseDouble(Arrays.stream(rest.split("[\\s:,;%)]+")).findFirst().orElseThrow());
    }
}

package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.io.CharTokenizer;
import dev.sequent.io.Tokenizers;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ProgramsTest {
    private static final String TINY =
            "--width 16 --layers 2 --heads 2 --state-size 4 --context 8 --batch 2 --steps 6 --eval-every 2 --sample-tokens 12";

    @TempDir
    Path directory;

    @Test
    void allModelsAreTrainedComparedAndGenerateText() throws IOException {
        Captured trained = train(TINY + " --model all --out " + directory.resolve("run"), text(2000));
        assertThat(trained.exitCode()).as(trained.err()).isZero();
        for (String model : List.of("mamba", "transformer", "hybrid")) {
            assertThat(trained.out()).containsPattern("\\| " + model + " +\\| [MA]+ ").contains(model + " continues [");
            assertThat(directory.resolve("run").resolve(model)).isDirectoryContaining("glob:**/model.safetensors")
                    .isDirectoryContaining("glob:**/config.json").isDirectoryContaining("glob:**/metrics.jsonl")
                            .isDirectoryContaining("glob:**/" + Tokenizers.FILE);
        }
        assertThat(trained.out()).contains("nats/char", "bits/char", "train tokens/s", "state at 1k", "at 32k", "at 1M", "decode tokens/s",
                "parameters")
                .contains("validation loss");
        assertThat(Files.size(directory.resolve("run/losses.png"))).isGreaterThan(5_000);
        assertThat(directory.resolve("run/losses.svg")).content().contains("<svg");
        assertThat(directory.resolve("run/comparison.md")).content().contains("| mamba", "| transformer", "| hybrid");

        Captured generated = generate("--model " + directory.resolve("run/hybrid")
                + " --tokens 20 --seed 5 --top-k 5 --top-p 0.9 --min-p 0.01 --repetition-penalty 1.1");
        assertThat(generated.exitCode()).as(generated.err()).isZero();
        assertThat(generated.out().strip()).startsWith("the ");
        assertThat(generated.out().strip().length()).isLessThanOrEqualTo("the ".length() + 20);
        assertThat(generate("--model " + directory.resolve("run/hybrid")
                + " --tokens 20 --seed 5 --top-k 5 --top-p 0.9 --min-p 0.01 --repetition-penalty 1.1").out())
                .as("the same seed").isEqualTo(generated.out());
    }

    @Test
    void theSameSeedGivesTheSameLosses() throws IOException {
        Path text = text(2000);
        assertThat(train(TINY + " --model s4d,mamba,mamba2 --dropout 0.1 --out " + directory.resolve("a"), text).exitCode()).isZero();
        assertThat(train(TINY + " --model s4d,mamba,mamba2 --dropout 0.1 --out " + directory.resolve("b"), text).exitCode()).isZero();
        for (String model : List.of("s4d", "mamba", "mamba2")) {
            assertThat(losses("a/" + model)).isNotEmpty().isEqualTo(losses("b/" + model));
        }
    }

    @Test
    void resumedRunEqualsUninterruptedRun() throws IOException {
        Path text = text(2000);
        String options = TINY + " --model hybrid --dropout 0.1 --out ";
        assertThat(train(options + directory.resolve("whole"), text).exitCode()).isZero();
        Captured first = train(options + directory.resolve("parts") + " --stop-after 3", text);
        assertThat(first.out()).contains("stopped at step 3 of 6");
        Captured second = train(options + directory.resolve("parts") + " --resume", text);
        assertThat(second.out()).contains("resumed at step 3 of 6");
        assertThat(second.exitCode()).isZero();
        assertThat(losses("parts/hybrid")).isEqualTo(losses("whole/hybrid"));
        assertThat(Files.readAllBytes(directory.resolve("parts/hybrid/model.safetensors")))
                .isEqualTo(Files.readAllBytes(directory.resolve("whole/hybrid/model.safetensors")));

        assertWrong(train(options + directory.resolve("parts") + " --resume --seed 2", text), "train: [resume] expected --seed 1337",
                "given 2");
    }

    @Test
    void bytesAreTokensToo() throws IOException {
        Captured trained = train(TINY + " --model mamba --tokenizer byte --out " + directory.resolve("run"), text(2000));
        assertThat(trained.exitCode()).as(trained.err()).isZero();
        assertThat(trained.out()).contains("vocabulary 256");
        assertThat(generate("--model " + directory.resolve("run/mamba") + " --tokens 5 --prompt ü").exitCode()).isZero();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            --model lstm | --model must be all or among mamba, mamba2, s4d, transformer, hybrid, not 'lstm'
            --model mamba, | --model must be all or among mamba, mamba2, s4d, transformer, hybrid, not ''
            --width 0 | --width must be at least 1, not 0
            --width many | Invalid value for option '--width': 'many' is not an int
            --heads 3 | --heads must be a number that cuts the width 128 into even parts, not 3
            --dropout 1 | --dropout must be at least 0 and below 1, not 1.0
            --learning-rate -1 | --learning-rate must be between 0 and 1, not -1.0
            --steps 0 | --steps must be at least 1, not 0
            --backend tpu | [open] expected the name of a backend (
            --backend djl | --backend must be on the class path: give Maven the profile -Pdjl, which fetches the engine, not 'djl'
            --backend cpu:one | --backend must be NAME or NAME:NUMBER, not 'cpu:one'
            --backend cpu:7 | --backend must be a device of cpu, which has 1, not 'cpu:7'
            --precision f16 | --precision must be f32 or bf16, not 'f16'
            --precision bf16 --backend reference | --precision must be f32 on the backend reference, not 'bf16'
            --threads -2 | --threads must be at least 1, or 0 for all cores, not -2
            --tokenizer words | [tokenizer] expected char, byte, or the path of a tokenizer.json, given 'words'
            --layer 3 | Unknown options: '--layer', '3'
            --pattern MXA --model hybrid | [layer pattern] expected letters among
            --state-size 3 --model s4d | --state-size must be even for S4D layers, whose states come in pairs, not 3
            """)
    void wrongOptionsAreOneSentence(String options, String sentence) throws IOException {
        assertWrong(train(options + " --out " + directory.resolve("run"), text(2000)), "train: " + sentence);
        assertThat(directory.resolve("run")).doesNotExist();
    }

    @Test
    void wrongTextsAreOneSentence() throws IOException {
        Path empty = Files.createFile(directory.resolve("empty.txt"));
        assertWrong(train("", empty), "train: [text] expected a text of 1 to", "given 0 bytes");
        Path brief = Files.writeString(directory.resolve("short.txt"), "too short to learn from");
        assertWrong(train("--context 64", brief), "train: [text] expected at least 650 tokens", "given 23 tokens", "--context");
        Path binary = Files.write(directory.resolve("binary.txt"), new byte[] {(byte) 0xFF, (byte) 0xFE, 0, 1});
        assertWrong(train("", binary), "train: [text] expected UTF-8");
        assertWrong(train("", directory.resolve("missing.txt")), "train: [text] expected a text file", "missing");
    }

    @Test
    void brokenModelsAreOneSentence() throws IOException {
        assertThat(train(TINY + " --model mamba --out " + directory.resolve("run"), text(2000)).exitCode()).isZero();
        Path model = directory.resolve("run/mamba");
        assertWrong(generate("--model " + model + " --prompt Ω"), "generate: [encode] expected characters of an alphabet",
                "'Ω' (U+03A9)");
        assertWrong(generate("--model " + directory), "generate: --model must be a model's directory");

        byte[] tokenizer = Files.readAllBytes(model.resolve(Tokenizers.FILE));
        Tokenizers.save(CharTokenizer.of("other letters"), model.resolve(Tokenizers.FILE));
        assertWrong(generate("--model " + model), "generate: [generate] expected a tokenizer of", "the model's vocabulary, given 8 ids");
        Files.write(model.resolve(Tokenizers.FILE), tokenizer);

        Path weights = model.resolve("model.safetensors");
        byte[] whole = Files.readAllBytes(weights);
        Files.write(weights, java.util.Arrays.copyOf(whole, whole.length - 7));
        assertWrong(generate("--model " + model), "generate: [");
        Files.delete(weights);
        assertWrong(generate("--model " + model), "generate: --model must be a directory with model.safetensors");
    }

    @ParameterizedTest
    @ValueSource(strings = {"--tokens 0", "--temperature -1", "--top-p 0", "--top-p 1.5", "--min-p 2", "--repetition-penalty 0",
            "--top-k -1"})
    void wrongSamplingIsOneSentence(String options) {
        assertWrong(generate("--model nowhere " + options), "generate: " + options.split(" ")[0] + " must be");
    }

    @Test
    void handWrittenLoopLearns() throws IOException {
        Captured run = Captured.of(() -> {
            try {
                HandWrittenTrainingLoop.main(new String[] {text(4000).toString(), "31"});
                return 0;
            } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
        });
        List<Double> losses = run.out().lines().map(l -> Double.valueOf(l.replaceAll(".*loss ([0-9.]+) .*", "$1"))).toList();
        assertThat(losses).hasSize(4);
        assertThat(losses.getLast()).isLessThan(losses.getFirst() - 0.5);
    }

    private static void assertWrong(Captured run, String... sentence) {
        assertThat(run.exitCode()).as(run.err()).isEqualTo(2);
        assertThat(run.err()).startsWith(sentence[0]).contains(sentence).doesNotContain("\tat ").doesNotContain("Exception");
        assertThat(run.err().strip().lines()).hasSize(1);
    }

    /** Words that repeat, so that a few steps already help. */
    private Path text(int characters) throws IOException {
        String words = "the old man went home, and the child went after the old man.\n";
        return Files.writeString(directory.resolve("text" + characters + ".txt"), words.repeat(characters / words.length() + 1),
                StandardCharsets.UTF_8);
    }

    /** The metrics without wall times. */
    private List<String> losses(String model) throws IOException {
        return Files.readAllLines(directory.resolve(model).resolve("metrics.jsonl")).stream()
                .map(l -> l.replaceAll(",\"seconds\":[^,}]*", "")).toList();
    }

    private Captured train(String options, Path text) {
        List<String> args = new ArrayList<>(List.of("--text", text.toString()));
        Stream.of(options.split(" ")).filter(o -> !o.isEmpty()).forEach(args::add);
        if (!args.contains("--out")) {
            args.addAll(List.of("--out", directory.resolve("unused").toString()));
        }
        return Captured.of(() -> Programs.run(new Train(), args.toArray(String[]::new)));
    }

    private static Captured generate(String options) {
        List<String> args = new ArrayList<>();
        if (!options.contains("--prompt")) {
            args.addAll(List.of("--prompt", "the "));
        }
        args.addAll(List.of(options.split(" ")));
        return Captured.of(() -> Programs.run(new Generate(), args.toArray(String[]::new)));
    }
}

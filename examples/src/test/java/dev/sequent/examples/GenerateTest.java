package dev.sequent.examples;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.io.WeightStore;
import dev.sequent.model.ModelFiles;
import dev.sequent.testkit.Golden;
import dev.sequent.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The generate program on a checkpoint of a public family with a tokenizer.json whose words are w0 to w89. */
class GenerateTest {
    private static final int WORDS = 90;

    @TempDir
    Path directory;

    @BeforeEach
    void copy() throws IOException {
        try (Golden golden = Golden.open("llama")) {
            for (String name : List.of(ModelFiles.CONFIG, WeightStore.SINGLE)) {
                Files.copy(golden.directory().resolve(name), file(name));
            }
        }
        String words = IntStream.range(0, WORDS).mapToObj(i -> "\"w" + i + "\":" + i).collect(Collectors.joining(","));
        Files.writeString(file(HuggingFaceTokenizer.FILE), """
                {"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
                "pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,
                "model":{"type":"WordLevel","vocab":{%s},"unk_token":"w0"}}
                """.formatted(words));
        Files.writeString(file("generation_config.json"), "{\"eos_token_id\": [95, 96]}");
    }

    private Path file(String name) {
        return directory.resolve(name);
    }

    private Captured generate(String... options) {
        List<String> args = new ArrayList<>(List.of("--model", directory.toString()));
        args.addAll(List.of(options));
        return Captured.of(() -> Programs.run(new Generate(), args.toArray(String[]::new)));
    }

    private static String out(Captured run) {
        assertThat(run.exitCode()).as(run.err()).isZero();
        return run.out().strip();
    }

    @Test
    void aBatchContinuesEachTextAsIfAlone() {
        String first = out(generate("--temperature", "0", "--tokens", "7", "--prompt", "w5 w6 w7"));
        String second = out(generate("--temperature", "0", "--tokens", "7", "--prompt", "w9"));
        assertThat(first).startsWith("w5 w6 w7");
        String[] both = out(generate("--temperature", "0", "--tokens", "7", "--prompt", "w5 w6 w7", "--prompt", "w9")).split("\\R");
        assertThat(both).containsExactly("[1, LENGTH after 7 tokens] " + first, "[2, LENGTH after 7 tokens] " + second);
    }

    @Test
    void textsEndBeforeStopTextsAndAtEndTokens() {
        String free = out(generate("--temperature", "0", "--tokens", "7", "--prompt", "w5 w6"));
        List<String> words = List.of(free.substring("w5 w6".length()).strip().split("\\s+"));
        String third = words.get(2);
        String stopped = out(generate("--temperature", "0", "--tokens", "7", "--prompt", "w5 w6", "--stop", third));
        assertThat(free).startsWith(stopped);
        assertThat(stopped).doesNotEndWith(third);
        String id = third.substring(1);
        String[] ended = out(generate("--temperature", "0", "--tokens", "7", "--prompt", "w5 w6", "--prompt", "w1", "--stop-id", id))
                .split("\\R");
        assertThat(ended[0]).isEqualTo("[1, STOP_TOKEN after " + (words.indexOf(third) + 1) + " tokens] " + stopped);
    }

    @Test
    void beamsArePrintedBestFirst() {
        String[] lines = out(generate("--beams", "3", "--best", "2", "--tokens", "5", "--prompt", "w5", "--prompt", "w6 w7")).split("\\R");
        assertThat(lines).hasSize(4);
        assertThat(lines[0]).startsWith("[1, score -").contains("LENGTH after 5 tokens] w5");
        assertThat(lines[3]).startsWith("[2, score -").contains("] w6 w7");
        assertThat(score(lines[0])).isGreaterThanOrEqualTo(score(lines[1]));
    }

    private static double score(String line) {
        return Double.parseDouble(line.replaceAll(".*score (-?[0-9.]+),.*", "$1"));
    }

    @Test
    void aDescriptionNeedsNeitherTokenizerNorWeightsInMemory() throws IOException {
        Files.delete(file(HuggingFaceTokenizer.FILE));
        String described = out(generate("--describe", "--dtype", "BF16"));
        assertThat(described).contains("family      llama: 2 layers of width 32, vocabulary 97", "as BF16", "mixer (attention)",
                "1,048,576 tokens");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            --stop  --beams 2 | --stop must be left out with --beams
            --best 3 --beams 2 | --best must be between 1 and --beams, not 3
            --beams -1 | --beams must be at least 1, or 0 for sampling, not -1
            --early-stopping maybe --beams 2 | --early-stopping must be true, false or never, not 'maybe'
            --length-penalty NaN --beams 2 | --length-penalty must be a finite number, not NaN
            --typical-p 0 | --typical-p must be above 0 and at most 1, not 0.0
            --frequency-penalty Infinity | --frequency-penalty must be a finite number, not Infinity
            --no-repeat-ngram -1 | --no-repeat-ngram must be at least 0, not -1
            --min-tokens -1 | --min-tokens must be at least 0, not -1
            --stop-id -4 | --stop-id must be at least 0, not -4
            --dtype I32 | --dtype must be F32, BF16 or F64, not 'I32'
            --backend cpu:one | --backend must be NAME or NAME:NUMBER, not 'cpu:one'
            --tokenizer words | [tokenizer] expected char, byte, or the path of a tokenizer.json, given 'words'
            """)
    void wrongOptionsAreOneSentence(String options, String sentence) {
        String[] args = options.replace("--stop  ", "--stop x ").split(" ");
        assertWrong(generate(args), "generate: " + sentence);
    }

    @Test
    void missingPiecesAreNamed() throws IOException {
        Files.writeString(file("generation_config.json"), "{\"eos_token_id\": \"end\"}");
        assertWrong(generate(), "generate: [generation_config.json] expected");
        Files.delete(file("generation_config.json"));
        Files.delete(file(HuggingFaceTokenizer.FILE));
        assertWrong(generate(), "generate: [tokenizer] expected tokenizer.json or sequent_tokenizer.json beside the model");
        Files.createFile(file("pytorch_model.bin"));
        Files.delete(file("model.safetensors"));
        assertWrong(generate(), "generate: --model must be a directory with model.safetensors", "store it as safetensors first");
        Files.delete(file("pytorch_model.bin"));
        assertWrong(generate("--describe"), "generate: --model must be a directory with model.safetensors", "which has neither");
        Files.delete(file(ModelFiles.CONFIG));
        assertWrong(generate("--describe"), "generate: --model must be a model's directory", "which has no config.json");
    }

    private static void assertWrong(Captured run, String... sentence) {
        assertThat(run.exitCode()).as(run.out()).isEqualTo(2);
        assertThat(run.err()).startsWith(sentence[0]).contains(sentence).doesNotContain("\tat ");
        assertThat(run.err().strip().lines()).hasSize(1);
    }

    @Test
    void endTokensAreThoseThatTheCheckpointNames() throws IOException {
        assertThat(EndTokens.of(directory)).containsExactly(95, 96);
        for (Map.Entry<String, List<Integer>> e : Map.of("{\"eos_token_id\": 7}", List.of(7), "{}", List.of(2), "{\"eos_token_id\": null}",
                List.of(2)).entrySet()) {
            Files.writeString(file("generation_config.json"), e.getKey());
            assertThat(EndTokens.of(directory)).as(e.getKey()).containsExactlyElementsOf(e.getValue());
        }
    }
}

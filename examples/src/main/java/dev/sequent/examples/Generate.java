package dev.sequent.examples;

import dev.sequent.generate.BeamSearch;
import dev.sequent.generate.Continuation;
import dev.sequent.generate.Generator;
import dev.sequent.generate.LogitsProcessors;
import dev.sequent.generate.TextContinuation;
import dev.sequent.io.Tokenizer;
import dev.sequent.io.WeightStore;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelDescription;
import dev.sequent.model.ModelFiles;
import dev.sequent.tensor.Device;
import dev.sequent.type.DType;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Continues texts with a model from a directory, one that {@link Train} has stored or a checkpoint of a public family with its
 * {@code tokenizer.json}, or describes it. One text is printed as it is generated.
 */
@Command(name = "generate", mixinStandardHelpOptions = true, sortOptions = false, usageHelpWidth = 120, separator = " ",
        description = "Continues texts with the model in a directory, or describes it.")
public final class Generate implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--model", paramLabel = "DIR", required = true,
            description = "a directory with config.json, model.safetensors (or shards with an index) and a tokenizer, for example "
                    + "runs/latest/mamba or a checkpoint from Hugging Face")
    private Path directory;

    @Option(names = "--describe", description = "print what the model consists of and what it costs, without loading it, and stop")
    private boolean describe;

    @Option(names = "--prompt", paramLabel = "TEXT", defaultValue = "The ",
            description = "the text to continue; several times for several texts in one batch (default: '${DEFAULT-VALUE}')")
    private List<String> prompts;

    @Option(names = "--tokens", paramLabel = "N", defaultValue = "400",
            description = "how many tokens to generate at most (default: ${DEFAULT-VALUE})")
    private int tokens;

    @Option(names = "--min-tokens", paramLabel = "N", defaultValue = "0",
            description = "how many tokens come before an end token at least (default: ${DEFAULT-VALUE})")
    private int minTokens;

    @Option(names = "--stop", paramLabel = "TEXT", description = "a text to end before; may be given several times")
    private List<String> stopTexts = List.of();

    @Option(names = "--stop-id", paramLabel = "ID",
            description = "an end token besides the checkpoint's eos_token_id; may be given several times")
    private List<Integer> stopIds = List.of();

    @Option(names = "--ignore-eos", description = "go on after the checkpoint's eos_token_id")
    private boolean ignoreEos;

    @Mixin
    private SamplingOptions sampling;

    @Mixin
    private BeamOptions beams;

    @Option(names = "--tokenizer", paramLabel = "NAME",
            description = "byte, or the path of a Hugging Face tokenizer.json (default: the one beside the model)")
    private String tokenizerName;

    @Option(names = "--dtype", paramLabel = "TYPE", defaultValue = "F32",
            description = "F32, BF16 or F64: type of the parameters in memory (default: ${DEFAULT-VALUE})")
    private String dtypeName;

    @Mixin
    private DeviceOptions where;

    /** The program. Exit code 2 stands for wrong options or input. */
    public static void main(String[] args) {
        System.exit(Programs.run(new Generate(), args));
    }

    @Override
    public Integer call() {
        DType dtype = checked();
        requireModel();
        PrintStream console = System.out;
        if (describe) {
            console.println(ModelDescription.of(directory, dtype, prompts.size()));
            return 0;
        }
        Tokenizer tokenizer = tokenizer();
        prompts.forEach(tokenizer::encode); // a prompt that the vocabulary cannot express is an error before anything is printed
        Set<Integer> stop = new LinkedHashSet<>(stopIds);
        stop.addAll(ignoreEos ? Set.of() : EndTokens.of(directory));
        try (Device device = where.open(); LanguageModel model = LanguageModel.load(directory, device, dtype)) {
            long start = System.nanoTime();
            int count = beams.active() ? search(model, tokenizer, stop, console) : sample(model, tokenizer, stop, console);
            double seconds = (System.nanoTime() - start) * 1e-9;
            System.err.printf(Locale.ROOT, "%d tokens, %.0f tokens/s%n", count, count / seconds);
        }
        return 0;
    }

    private DType checked() {
        prompts.forEach(p -> Programs.require(!p.isEmpty(), spec, "--prompt", "at least one character", p));
        Programs.require(tokens >= 1, spec, "--tokens", "at least 1", tokens);
        Programs.require(minTokens >= 0, spec, "--min-tokens", "at least 0", minTokens);
        stopTexts.forEach(s -> Programs.require(!s.isEmpty(), spec, "--stop", "at least one character", s));
        stopIds.forEach(id -> Programs.require(id >= 0, spec, "--stop-id", "at least 0", id));
        Programs.require(Set.of("F32", "BF16", "F64").contains(dtypeName), spec, "--dtype", "F32, BF16 or F64", dtypeName);
        sampling.sampling();
        beams.check();
        Programs.require(!beams.active() || stopTexts.isEmpty(), spec, "--stop", "left out with --beams, which ends at end tokens only",
                String.join(" ", stopTexts));
        return DType.valueOf(dtypeName);
    }

    /** Says which file is missing, and where it would come from. */
    private void requireModel() {
        Programs.require(Files.exists(directory.resolve(ModelFiles.CONFIG)), spec, "--model",
                "a model's directory such as runs/latest/mamba",
                directory + ", which has no " + ModelFiles.CONFIG);
        boolean weights = Files.exists(directory.resolve(WeightStore.SINGLE)) || Files.exists(directory.resolve(WeightStore.INDEX));
        boolean other = !weights && Files.exists(directory.resolve("pytorch_model.bin"));
        Programs.require(weights, spec, "--model", "a directory with " + WeightStore.SINGLE + " or " + WeightStore.INDEX,
                directory + (other ? ", which has pytorch_model.bin: store it as safetensors first" : ", which has neither"));
    }

    private Tokenizer tokenizer() {
        Tokenizer tokenizer = tokenizerName == null ? TokenizerFiles.load(directory) : TokenizerFiles.open(tokenizerName, "");
        TokenizerFiles.requireFit(tokenizer, ModelFiles.config(directory).vocab_size(), directory);
        return tokenizer;
    }

    /** One text as it comes, several when they are done. Returns the number of new tokens. */
    private int sample(LanguageModel model, Tokenizer tokenizer, Set<Integer> stop, PrintStream console) {
        Generator.Request request = new Generator.Request(tokens, sampling.sampling(), stop).withMinTokens(minTokens)
                .withStopTexts(stopTexts.toArray(String[]::new));
        boolean live = prompts.size() == 1;
        if (live) {
            console.print(prompts.getFirst());
        }
        List<TextContinuation> texts = new Generator(model).texts(tokenizer, prompts, request, (_, piece) -> {
            if (live) {
                console.print(piece);
                console.flush();
            }
            return true;
        });
        console.print(live ? System.lineSeparator() : "");
        int count = 0;
        for (int b = 0; b < texts.size(); b++) {
            Continuation c = texts.get(b).continuation();
            count += c.tokens().length;
            if (!live) {
                console.printf(Locale.ROOT, "[%d, %s after %d tokens] %s%s%n", b + 1, c.finish(), c.tokens().length, prompts.get(b),
                        texts.get(b).text());
            }
        }
        return count;
    }

    private int search(LanguageModel model, Tokenizer tokenizer, Set<Integer> stop, PrintStream console) {
        int[][] ids = prompts.stream().map(tokenizer::encode).toArray(int[][]::new);
        BeamSearch.Settings settings = beams.settings(tokens, minTokens, stop)
                .withProcessors(LogitsProcessors.only(tokenizer.vocabularySize()));
        List<List<BeamSearch.Hypothesis>> found = new BeamSearch(model).search(ids, settings);
        int count = 0;
        for (int b = 0; b < ids.length; b++) {
            for (BeamSearch.Hypothesis h : found.get(b)) {
                int[] all = h.continuation().tokens();
                int[] text = Arrays.stream(all).takeWhile(id -> !stop.contains(id)).toArray();
                console.printf(Locale.ROOT, "[%d, score %.4f, %s after %d tokens] %s%s%n", b + 1, h.score(), h.continuation().finish(),
                        all.length, prompts.get(b), tokenizer.decode(text));
                count += all.length;
            }
        }
        return count;
    }
}

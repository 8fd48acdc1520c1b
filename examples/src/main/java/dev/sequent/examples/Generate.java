package dev.sequent.examples;

import dev.sequent.generate.Generator;
import dev.sequent.generate.Sampling;
import dev.sequent.io.Tokenizer;
import dev.sequent.model.LanguageModel;
import dev.sequent.model.ModelFiles;
import dev.sequent.tensor.Device;
import dev.sequent.type.CheckpointException;
import dev.sequent.type.DType;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Continues a text with a model that {@link Train} has stored, printing it as it is generated. */
@Command(name = "generate", mixinStandardHelpOptions = true, sortOptions = false, usageHelpWidth = 120, separator = " ",
        description = "Continues a text with a trained model.")
public final class Generate implements Callable<Integer> {
    @Spec
    private CommandSpec spec;

    @Option(names = "--model", paramLabel = "DIR", required = true, description = "a model's directory, for example runs/latest/mamba")
    private Path directory;

    @Option(names = "--prompt", paramLabel = "TEXT", defaultValue = "The ", description = "the text to continue (default: '${DEFAULT-VALUE}')")
    private String prompt;

    @Option(names = "--tokens", paramLabel = "N", defaultValue = "400", description = "how many tokens to generate (default: ${DEFAULT-VALUE})")
    private int tokens;

    @Option(names = "--temperature", paramLabel = "X", defaultValue = "0.8",
            description = "0 always takes the most likely token, 1 samples what the model believes (default: ${DEFAULT-VALUE})")
    private double temperature;

    @Option(names = "--top-k", paramLabel = "K", defaultValue = "0", description = "only the K most likely tokens; 0 for all (default: ${DEFAULT-VALUE})")
    private int topK;

    @Option(names = "--top-p", paramLabel = "P", defaultValue = "1",
            description = "only the most likely tokens that together have this probability (default: ${DEFAULT-VALUE})")
    private double topP;

    @Option(names = "--min-p", paramLabel = "P", defaultValue = "0",
            description = "only tokens at least P times as likely as the most likely one (default: ${DEFAULT-VALUE})")
    private double minP;

    @Option(names = "--repetition-penalty", paramLabel = "X", defaultValue = "1",
            description = "above 1 makes tokens that have occurred less likely (default: ${DEFAULT-VALUE})")
    private double repetitionPenalty;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1", description = "the same seed gives the same text (default: ${DEFAULT-VALUE})")
    private long seed;

    @Option(names = "--backend", paramLabel = "NAME[:N]", defaultValue = "cpu",
            description = "where to compute: cpu, reference, cuda, nd4j or djl, and which of its devices; nd4j and djl need Maven's -Pnd4j or -Pdjl (default: "
                    + "${DEFAULT-VALUE})")
    private String backend;

    @Option(names = "--threads", paramLabel = "N", defaultValue = "0", description = "threads of the backend (default: all cores)")
    private int threads;

    /** The program. Exit code 2 stands for wrong options or input. */
    public static void main(String[] args) {
        System.exit(Programs.run(new Generate(), args));
    }

    @Override
    public Integer call() {
        Sampling sampling = sampling();
        Programs.require(Files.exists(directory.resolve(ModelFiles.CONFIG)), spec, "--model", "a model's directory such as runs/latest/mamba",
                directory + ", which has no " + ModelFiles.CONFIG);
        PrintStream console = System.out;
        Tokenizer tokenizer = TokenizerFiles.load(directory);
        int vocabulary = ModelFiles.config(directory).vocab_size();
        if (tokenizer.vocabularySize() != vocabulary) {
            throw new CheckpointException("generate", "a tokenizer of " + vocabulary + " ids, the model's vocabulary", tokenizer.vocabularySize() + " ids in "
                    + directory);
        }
        tokenizer.encode(prompt); // a prompt that the vocabulary cannot express is an error before anything is printed
        try (Device device = Programs.open(spec, backend, threads); LanguageModel model = ModelFiles.load(directory, device, DType.F32)) {
            console.print(prompt);
            long start = System.nanoTime();
            new Generator(model).text(tokenizer, prompt, tokens, sampling, piece -> {
                console.print(piece);
                console.flush();
            });
            console.println();
            System.err.printf(Locale.ROOT, "%d tokens, %.0f tokens/s%n", tokens, tokens / ((System.nanoTime() - start) * 1e-9));
        }
        return 0;
    }

    private Sampling sampling() {
        Programs.require(!prompt.isEmpty(), spec, "--prompt", "at least one character", prompt);
        Programs.require(tokens >= 1, spec, "--tokens", "at least 1", tokens);
        Programs.require(temperature >= 0 && temperature < Double.POSITIVE_INFINITY, spec, "--temperature", "at least 0", temperature);
        Programs.require(topK >= 0, spec, "--top-k", "at least 0", topK);
        Programs.require(topP > 0 && topP <= 1, spec, "--top-p", "above 0 and at most 1", topP);
        Programs.require(minP >= 0 && minP <= 1, spec, "--min-p", "between 0 and 1", minP);
        Programs.require(repetitionPenalty > 0 && repetitionPenalty < Double.POSITIVE_INFINITY, spec, "--repetition-penalty", "above 0", repetitionPenalty);
        return Sampling.temperature(temperature, seed).withTopK(topK).withTopP(topP).withMinP(minP).withRepetitionPenalty(repetitionPenalty);
    }
}

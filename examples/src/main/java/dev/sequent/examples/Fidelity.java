package dev.sequent.examples;

import dev.sequent.backend.Backends;
import dev.sequent.io.AtomicFiles;
import dev.sequent.model.LanguageModel;
import dev.sequent.spi.BackendProvider;
import dev.sequent.tensor.Device;
import dev.sequent.testkit.Golden;
import dev.sequent.testkit.GoldenCheck;
import dev.sequent.type.DType;
import dev.sequent.type.SequentException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Compares models of all public families with what their reference implementation computes, on every backend on the class path, and prints
 * tables.
 */
@Command(name = "fidelity", mixinStandardHelpOptions = true, sortOptions = false, usageHelpWidth = 120, separator = " ",
        description = "Compares models with Hugging Face transformers: largest relative errors of logits, gradients, training, generation.")
public final class Fidelity implements Callable<Integer> {
    /** Errors above these make the program fail. */
    private static final double F64_BOUND = 1e-6;
    private static final double F32_BOUND = 1e-5;
    private static final String COMMAND = "mvn -q -Pfidelity process-classes";

    @Spec
    private CommandSpec spec;

    @Option(names = "--families", paramLabel = "NAME", split = ",", description = "only these families (default: all)")
    private List<String> families = Golden.FAMILIES;

    @Option(names = "--backends", paramLabel = "NAME", split = ",", description = "only these backends (default: all that work here)")
    private List<String> backends = List.of();

    @Option(names = "--write", arity = "0..1", fallbackValue = "docs/fidelity.md", paramLabel = "FILE",
            description = "also write the tables to a file (default: ${FALLBACK-VALUE})")
    private Path file;

    private final StringBuilder page = new StringBuilder();
    private boolean within = true;

    /** An open backend and an element type. */
    private record Platform(String backend, Device device, DType dtype) {
        double bound() {
            return dtype == DType.F64 ? F64_BOUND : F32_BOUND;
        }

        @Override
        public String toString() {
            return backend + " " + dtype;
        }
    }

    /** The program. Exit code 1: an error is larger than it should be; 2: wrong options. */
    public static void main(String[] args) {
        System.exit(Programs.run(new Fidelity(), args));
    }

    @Override
    public Integer call() {
        Programs.require(Golden.FAMILIES.containsAll(families), spec, "--families", "some of " + String.join(", ", Golden.FAMILIES),
                String.join(",", families));
        List<Platform> platforms = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        try {
            platforms(platforms, notes);
            tables(platforms, notes);
        } finally {
            platforms.stream().map(Platform::device).distinct().forEach(Device::close);
        }
        if (file != null) {
            AtomicFiles.write(file, page.toString());
        }
        return within ? 0 : 1;
    }

    private void tables(List<Platform> platforms, List<String> notes) {
        print("# Fidelity", "",
                "Tiny models of each public family, compared with what Hugging Face transformers computes for them in "
                        + "F64: the largest relative error,",
                "max |a - b| / max |b| over a tensor, a being ours. Printed by", "", "```", COMMAND + " -Dargs=--write", "```", "");
        families(platforms);
        print("",
                "**Gradients**: of every parameter, each relative to its own largest element. **Loss curve**: six losses of an AdamW run.",
                "**Prefill and steps**: logits after prompts of 1, 2, 3 and 17 tokens, after each of several prefills "
                        + "that continue one another, and",
                "after single steps, with and without left padding. **Generation**: greedy tokens that are equal, for "
                        + "prompts in one batch, however",
                "they are cut.", "",
                "In F64 the errors of 1e-7 are those of the reference, which computes norms, A, step sizes, rotary "
                        + "angles and routing in F32 even in an",
                "F64 model; GPT-2 has no such parts. The configurations below come from the same reference with those "
                        + "parts in F64, too.", "");
        configurations(platforms);
        print("",
                "Errors of logits, the larger of a forward pass and of prefill and steps; in brackets, where they are not all "
                        + "equal, greedy tokens",
                "that are. Truth for left padding is each row by itself: transformers' own left-padded batches differ "
                        + "from that for GPT-2 without",
                "explicit positions, and for Mamba, Mamba-2 and Jamba whose projections have biases, which turn padding "
                        + "into input. Where the",
                "reference's rotary frequencies depend on the length (`dynamic` and `longrope` beyond the original "
                        + "length) the configuration fixes",
                "them to those of the whole sequence, and generation is not compared; of `dynamic` the "
                        + "reference computes the base in F32.");
        notes.forEach(note -> print("", note));
    }

    private void print(String... lines) {
        PrintWriter out = spec.commandLine().getOut();
        for (String line : lines) {
            out.println(line);
            page.append(line).append('\n');
        }
        out.flush();
    }

    /** Every backend that works here, widest type first; the reference backend in F64 only, which shows all there is to show. */
    private void platforms(List<Platform> platforms, List<String> notes) {
        List<BackendProvider> providers = Backends.providers().stream().filter(p -> backends.isEmpty() || backends.contains(p.name()))
                .sorted((a, b) -> Boolean.compare(b.name().equals("reference"), a.name().equals("reference"))).toList();
        Programs.require(!providers.isEmpty(), spec, "--backends", "names of backends", String.join(",", backends));
        for (BackendProvider provider : providers) {
            if (!provider.probe().isAvailable()) {
                notes.add("The backend " + provider.name() + " does not work here: " + provider.probe() + ".");
                continue;
            }
            Device device = Device.open(provider.name());
            if (device.supports(DType.F64)) {
                platforms.add(new Platform(provider.name(), device, DType.F64));
            } else {
                notes.add("The backend " + provider.name() + " has no F64.");
            }
            if (!provider.name().equals("reference")) {
                platforms.add(new Platform(provider.name(), device, DType.F32));
            }
        }
    }

    private void families(List<Platform> platforms) {
        print("| family | backend | logits | gradients | loss curve | prefill and steps | generation |", "|---|---|---|---|---|---|---|");
        for (String family : families) {
            try (Golden golden = Golden.open(family)) {
                for (Platform platform : platforms) {
                    print("| " + family + " | " + platform + " | " + row(golden, platform) + " |");
                }
            }
        }
    }

    private String row(Golden golden, Platform platform) {
        try (LanguageModel model = LanguageModel.load(golden.directory(), platform.device(), platform.dtype())) {
            GoldenCheck.Errors e = new GoldenCheck(golden, model).errors();
            return String.join(" | ", show(Math.max(e.logits(), e.loss()), platform), show(e.gradients(), platform),
                    show(e.losses(), platform), show(e.incremental(), platform), tokens(e.equalTokens(), e.tokens()));
        } catch (SequentException unreadable) {
            return unreadable(unreadable) + " | | | |";
        }
    }

    private void configurations(List<Platform> platforms) {
        print("## Further configurations", "", "| configuration |" + String.join("", platforms.stream().map(p -> " " + p + " |").toList()),
                "|---|" + "---|".repeat(platforms.size()));
        for (String name : Golden.CONFIGURATIONS) {
            try (Golden golden = Golden.open(name)) {
                if (families.contains(golden.family())) {
                    StringBuilder line = new StringBuilder("| " + name + " |");
                    platforms.forEach(p -> line.append(' ').append(outputs(golden, p)).append(" |"));
                    print(line.toString());
                }
            }
        }
    }

    private String outputs(Golden golden, Platform platform) {
        try (LanguageModel model = LanguageModel.load(golden.directory(), platform.device(), platform.dtype())) {
            GoldenCheck.Outputs o = new GoldenCheck(golden, model).outputs();
            String error = show(Math.max(o.logits(), o.incremental()), platform);
            return o.equalTokens() == o.tokens() ? error : error + " (" + tokens(o.equalTokens(), o.tokens()) + ")";
        } catch (SequentException unreadable) {
            return unreadable(unreadable);
        }
    }

    private String unreadable(SequentException reason) {
        within = false;
        return "not computed: " + reason.getMessage().replace('|', '/');
    }

    private String show(double error, Platform platform) {
        within &= error <= platform.bound();
        return String.format(Locale.ROOT, "%.1e", error);
    }

    private String tokens(int equal, int all) {
        within &= equal == all;
        return equal + " of " + all;
    }
}

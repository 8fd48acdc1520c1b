package dev.sequent.benchmarks.peers;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sequent.benchmarks.report.Report;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.PrimitiveIterator;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Comparisons with a peer that is a shell script. */
class CompareTest {
    private static final Duration SOON = Duration.ofSeconds(20);
    private static final String HELLO = "echo '{\"name\": \"Fake 1\", \"cases\": ["
            + "\"kernel/add\", \"kernel/silu@slow\", \"kernel/unknown\"],"
            + " \"missing\": {\"x.py\": \"no y\"}}'\n";
    /** Answers every run with as many numbers as it was asked for. */
    private static final String LOOP = """
            while read -r line; do
              case "$line" in
                *silu*) echo '{"unsupported": "not today"}';;
                *load*) echo '{"ready": true}';;
                *run*) n=$(echo "$line" | tr -dc 0-9); s=0.5; i=1; while [ $i -lt $n ]; do s="$s, 0.5"; i=$((i+1)); done
                  echo "{\\"seconds\\": [$s]}";;
                *) exit 0;;
              esac
            done
            """;

    @TempDir
    Path directory;

    private final ByteArrayOutputStream said = new ByteArrayOutputStream();

    @BeforeEach
    void aShellIsThere() {
        Assumptions.assumeTrue(Files.isExecutable(Path.of("/bin/sh")), "the fake peer is a script for /bin/sh, which is not here");
    }

    private Path script(String text) throws IOException {
        return Files.writeString(directory.resolve("peer.sh"), text);
    }

    private int compare(String... arguments) {
        List<String> all = new ArrayList<>(List.of("--out", directory.toString(), "--rounds", "2", "--seconds", "0.001", "--warmup", "0",
                "--threads", "1"));
        all.addAll(List.of(arguments));
        return new CommandLine(new Compare(new PrintStream(said, true, StandardCharsets.UTF_8))).execute(all.toArray(String[]::new));
    }

    private String output() {
        return said.toString(StandardCharsets.UTF_8);
    }

    @Test
    void bothSidesAreInTheResultsAndTheReport() throws IOException {
        assertThat(compare("--python", "/bin/sh", "--script", script(HELLO + LOOP).toString(), "--time", "64", "--only", "forward"))
                .as(output()).isZero();
        assertThat(output()).contains("without x.py: no y").contains("kernel/add (pass=forward, time=64)").contains("500.0 (500.0-500.0)")
                .contains("not in the peer: not today")
                .doesNotContain("unknown");
        assertThat(new CommandLine(new Report()).execute(directory.toString())).isZero();
        assertThat(Files.readString(directory.resolve("report.html"))).contains("add (Fake 1)").contains("<td>add</td>");
        assertThat(Files.readAllLines(directory.resolve("results.csv"))).hasSize(3)
                .anyMatch(l -> l.startsWith("Fake 1,KernelBenchmark.forward,"));
    }

    /** A peer that says an error, one that ends, one whose numbers are others, and a length that our side refuses. */
    @Test
    void oneFailureIsRecordedAndTheOthersAreComparedAllTheSame() throws IOException {
        String hello = HELLO.replace("\"kernel/add\"", "\"kernel/softmax\", \"kernel/swiglu\", \"kernel/add@other\", \"kernel/add\"");
        String loop = LOOP.replace("*silu*)", "*softmax*) echo '{\"ready\": true}'; read -r line; echo '{\"error\": \"too hot\"}';;\n"
                + "*swiglu*) echo 'it hurts' >&2; exit 3;;\n"
                + "*other*) echo '{\"ready\": true}'; read -r line; echo '{\"seconds\": [1, 1, 1], \"values\": [1, 2, 3]}';;\n*silu*)");
        assertThat(compare("--python", "/bin/sh", "--script", script(hello + loop).toString(), "--time", "64,-1", "--only", "forward"))
                .as(output()).isEqualTo(1);
        String record = Files.readString(directory.resolve("run.json"));
        assertThat(output()).contains("too hot").contains("it hurts").contains("500.0 (500.0-500.0)");
        assertThat(record).contains("kernel/softmax (pass=forward, time=64): failed: ").contains("too hot")
                .contains("kernel/swiglu (pass=forward, time=64): failed: ").contains("it hurts")
                .contains("kernel/add@other (pass=forward, time=64): wrong result: call 1")
                .contains("kernel/add (pass=forward, time=-1): failed: ").doesNotContain("kernel/add (pass=forward, time=64)");
        assertThat(new CommandLine(new Report()).execute(directory.toString())).isZero();
        assertThat(Files.readString(directory.resolve("report.html"))).contains("failed measurements").contains("too hot");
        assertThat(Files.readAllLines(directory.resolve("results.csv"))).hasSize(3).anyMatch(l -> l.contains(",add,"));
    }

    @Test
    void decodingIsComparedAtEachContext() throws IOException {
        String hello = HELLO.replace("kernel/unknown", "decode/hybrid");
        assertThat(compare("--python", "/bin/sh", "--script", script(hello + LOOP).toString(), "--time", "3,100", "--only", "decode"))
                .as(output()).isZero();
        assertThat(output()).contains("decode/hybrid (context=3)").contains("decode/hybrid (context=100)");
        assertThat(new CommandLine(new Report()).execute(directory.toString())).isZero();
        assertThat(Files.readAllLines(directory.resolve("results.csv"))).hasSize(5)
                .filteredOn(l -> l.startsWith("Fake 1,ModelDecodeBenchmark.token,")).hasSize(2);
    }

    @Test
    void whereThereIsNoPeerAMessageSaysWhatIsNeeded() throws IOException {
        assertThat(compare("--python", directory.resolve("none").toString())).isEqualTo(2);
        assertThat(output()).contains("Python with torch").contains("--python");
        assertThat(compare("--python", "/bin/sh", "--script", script("echo '{\"absent\": \"no torch\"}'\n").toString())).isEqualTo(2);
        assertThat(output()).contains("no torch");
    }

    @Test
    void whatWasNotExpectedIsATypedErrorWithTheEndOfStandardError() throws IOException {
        for (String wrong : List.of("echo 'Traceback'", "echo '[1]'", "exit 3", "echo '{\"seconds\": [1, 2, 3]}'",
                "echo '{\"error\": \"out of memory\"}'")) {
            Path script = script(HELLO + "read -r line; echo '{\"ready\": true}'; read -r line; echo 'it hurts' >&2; " + wrong + "\n");
            try (Peer peer = Peer.start(List.of("/bin/sh", script.toString()), SOON)) {
                assertThat(peer.load("kernel/add", Map.of(), Map.of())).isEmpty();
                assertThatThrownBy(() -> peer.run(2)).as(wrong).isInstanceOf(PeerException.class).hasMessageContaining("it hurts");
            }
        }
    }

    @Test
    void callsThatReturnOtherNumbersThanThePeersAreRefused() throws IOException {
        Path script = script(HELLO + "while read -r line; do echo '{\"seconds\": [1, 1, 1], \"values\": [4, 2, null]}'; done\n");
        try (Peer peer = Peer.start(List.of("/bin/sh", script.toString()), SOON)) {
            Agreement.check(returning(4.0003, 1.9999, 7), peer, 1e-4);
            assertThatThrownBy(() -> Agreement.check(returning(4, 2.0003, 7), peer, 1e-4)).isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("call 2: expected 2.0 as in the peer, given 2.0003");
            assertThatThrownBy(() -> Agreement.check(returning(4, Double.NaN, 7), peer, 1e-4)).isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("given NaN");
        }
    }

    @Test
    void bothSidesRoundAlike() {
        Contest exact = new Contest("step/mamba", Map.of());
        Contest mixed = new Contest("step/mamba@bf16", Map.of());
        Contest narrow = new Contest("kernel/attention_bf16", Map.of());
        assertThat(List.of(exact, mixed, narrow)).filteredOn(c -> c.isFair("f32")).containsExactly(exact, narrow);
        assertThat(List.of(exact, mixed, narrow)).filteredOn(c -> c.isFair("bf16")).containsExactly(mixed, narrow);
    }

    private static Subject returning(double... values) {
        PrimitiveIterator.OfDouble next = Arrays.stream(values).iterator();
        return new Subject("", Map.of(), Map.of(), next::nextDouble, Map.of(), () -> {});
    }

    @Test
    void aPeerThatHangsIsATypedError() throws IOException {
        Path script = script("exec sleep 100\n");
        assertThatThrownBy(() -> Peer.start(List.of("/bin/sh", script.toString()), Duration.ofMillis(100)))
                .isInstanceOf(PeerException.class).hasMessageContaining("none");
    }

    @Test
    void sidesAlternateAndRatiosArePerRound() {
        StringBuilder order = new StringBuilder();
        Duel.Side ours = n -> filled(order.append('o'), n, 0.001);
        Duel.Side theirs = n -> filled(order.append('t'), n, 0.003);
        Duel.Outcome outcome = new Duel(3, 0.01, 0).run(ours, theirs, () -> 0, () -> Double.NaN);
        assertThat(order.toString()).isEqualTo("ot" + "ot" + "to" + "ot");
        assertThat(outcome.ours().median()).isCloseTo(0.001, within(1e-12));
        assertThat(outcome.ratios()).hasSize(3).containsOnly(new double[] {3}, within(1e-9));
        assertThat(outcome.oursIdle()).isZero();
        assertThat(outcome.theirsIdle()).isNaN();
    }

    private static double[] filled(StringBuilder order, int calls, double seconds) {
        assertThat(order).isNotEmpty();
        double[] all = new double[calls];
        Arrays.fill(all, seconds);
        return all;
    }
}

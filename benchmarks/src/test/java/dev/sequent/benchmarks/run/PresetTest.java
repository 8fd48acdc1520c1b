package dev.sequent.benchmarks.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.BenchmarkListEntry;

/** What presets name exists. */
class PresetTest {
    @ParameterizedTest
    @EnumSource(Preset.class)
    void everyCaseIsOneBenchmarkWithKnownParameters(Preset preset) throws IOException {
        List<BenchmarkListEntry> known = entries();
        List<Case> cases = new ArrayList<>(preset.cases());
        cases.addAll(preset.baselines(List.of("djl", "nd4j")));
        for (Case c : cases) {
            List<BenchmarkListEntry> matches = known.stream().filter(e -> e.getUsername().matches(c.pattern())).toList();
            assertThat(matches).as(c.toString()).hasSize(1);
            assertThat(matches.getFirst().getParams().get().keySet()).as(c.toString()).containsAll(c.parameters().keySet());
        }
    }

    @ParameterizedTest
    @EnumSource(Preset.class)
    void noCaseRunsTwice(Preset preset) {
        List<Case> cases = preset.cases();
        assertThat(new HashSet<>(cases)).hasSize(cases.size());
    }

    @Test
    void presetsFitTheTimeThatTheyPromise() {
        assertThat(Preset.SMOKE.atLeast(Preset.SMOKE.cases().size(), 1)).isLessThan(Duration.ofMinutes(2));
        assertThat(Preset.QUICK.atLeast(Preset.QUICK.cases().size(), 1)).isLessThan(Duration.ofMinutes(15));
        assertThat(Preset.FULL.atLeast(10, 3)).isEqualTo(Duration.ofSeconds(10 * 3 * 21));
    }

    private static List<BenchmarkListEntry> entries() throws IOException {
        String text = new String(BenchmarkList.class.getResourceAsStream("/META-INF/BenchmarkList").readAllBytes(),
                java.nio.charset.StandardCharsets.UTF_8);
        Set<BenchmarkListEntry> entries = text.lines().filter(l -> !l.isBlank()).map(BenchmarkListEntry::new).collect(Collectors.toSet());
        return List.copyOf(entries);
    }
}

package dev.sequent.backend.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.backend.Backends;
import dev.sequent.spi.Backend;
import dev.sequent.spi.BackendProvider;
import dev.sequent.type.BackendException;
import org.junit.jupiter.api.Test;

/** All backends side by side in one process. */
class DiscoveryTest {
    @Test
    void allAreFoundAndTheFastestIsPreferred() {
        assertThat(Backends.providers()).extracting(BackendProvider::name).contains("reference", "cpu", "nd4j", "djl");
        try (Backend best = Backends.openBestBackend()) {
            assertThat(best.name()).isIn("cpu", "cuda");
        }
    }

    @Test
    void explainHasAColumnForEach() {
        String table = Backends.explain();
        assertThat(table).containsPattern("cpu:0 .*djl:0 .*nd4j:0 .*reference:0").containsPattern("(?m)^  BF16 .* refused ")
                .contains("every operation of BF16, refused")
                .containsPattern("SelectiveScan +selective-scan/\\w+ +decomposition +decomposition +decomposition")
                .doesNotContain("could not be opened").doesNotContain("a part of this table failed");
        System.out.println(table);
    }

    @Test
    void anUnknownNameListsTheKnownOnesWithWhatTheyFound() {
        assertThatThrownBy(() -> Backends.openBackend("pytorch")).isInstanceOf(BackendException.class)
                .hasMessageContaining("cpu: AVAILABLE")
                .hasMessageContaining("djl: AVAILABLE").hasMessageContaining("nd4j: AVAILABLE").hasMessageContaining("\"pytorch\"");
    }
}

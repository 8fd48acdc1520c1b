package dev.sequent.mixer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sequent.nn.Init;
import dev.sequent.tensor.Device;
import dev.sequent.type.DType;
import dev.sequent.type.ShapeException;
import org.junit.jupiter.api.Test;

/** Sizes, documents and rows that are refused before a mixer sees them. */
class SequenceInfoTest {
    @Test
    void positionsAreCountedInInts() {
        for (long[] sizes : new long[][] {{1L << 33, 1}, {1, 1L << 33}, {1 << 16, 1 << 16}, {50_000, 50_000}, {-1, 5}, {1, -1}}) {
            assertThatThrownBy(() -> SequenceInfo.of(sizes[0], sizes[1])).as(sizes[0] + " x " + sizes[1])
                    .isInstanceOf(ShapeException.class);
        }
        assertThat(SequenceInfo.of(2, 3).positions(null)).containsExactly(0, 1, 2, 0, 1, 2);
    }

    /** Attention would join the pieces of a document that comes back, a recurrence would not. */
    @Test
    void documentsAreInOnePiece() {
        SequenceInfo info = SequenceInfo.of(2, 4);
        assertThatThrownBy(() -> info.withDocuments(new int[] {0, 0, 0, 0, 1, 0, 1, 1})).isInstanceOf(ShapeException.class)
                .hasMessageContaining("document 1 again at position 2");
        assertThat(info.withDocuments(new int[] {7, -1, 7, 3, 7, 7, 5, -1}).flags())
                .containsExactly(0, SequenceInfo.SKIP, 0, SequenceInfo.RESET, 0, 0, SequenceInfo.RESET, SequenceInfo.SKIP);
    }

    @Test
    void rowsThatDoNotExistAreRefused() {
        try (Device device = Device.open("reference");
                SequenceMixer<?> mixer = new LeakyIntegrator.Config(2).create(4, 1, new Init(device, 1));
                MixerState state = mixer.newState(new StateSpec(2, 8, DType.F32, device))) {
            for (int row : new int[] {-1, 2}) {
                assertThatThrownBy(() -> state.reorder(new int[] {0, row})).isInstanceOf(ShapeException.class)
                        .hasMessageContaining("[reorder]");
            }
            state.reorder(new int[] {1, 1, 0});
            assertThat(state.batch()).isEqualTo(3);
        }
    }
}
